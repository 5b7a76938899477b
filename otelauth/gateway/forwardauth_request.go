// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// described returns the request that the subrequest r describes. If the description is refused,
// x holds the refusal and the result is r itself, without its body. The result keeps the header
// of r, because the client's own header is in it and otelauth resolves the client's address from
// it.
func (st *state) described(r *http.Request, x *exchange) *http.Request {
	out := r.WithContext(x)
	out.Body, out.ContentLength, out.TransferEncoding = http.NoBody, 0, nil
	if !st.clients.Resolve(r).PeerTrusted {
		x.refused = otelauth.Refusal{
			Status: http.StatusForbidden, Reason: attempt.ReasonUntrustedProxy,
			Detail: "Only trusted proxies may ask here. The operator can add this proxy's network to the trusted proxies.",
		}
		return out
	}
	method, target, host, missing := st.describe(r)
	if missing != "" {
		x.refused = otelauth.Refusal{
			Status: http.StatusForbidden, Reason: attempt.ReasonForwardedRequest,
			Detail: "The proxy must send each part of the description exactly once. Missing, repeated or invalid: " + missing + ".",
		}
		return out
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || target[0] != '/' {
		x.refused = otelauth.Refusal{
			Status: http.StatusBadRequest, Reason: attempt.ReasonRawPath,
			Detail: "The proxy asks about a request whose path cannot be parsed.",
		}
		return out
	}
	out.Method, out.URL, out.RequestURI, out.Host = method, u, target, host
	if r.Header["Sec-Websocket-Key"] != nil && r.Header["Upgrade"] == nil {
		// A WebSocket handshake: the proxy has removed its hop-by-hop headers.
		out.Header = r.Header.Clone()
		out.Header["Upgrade"], out.Header["Connection"] = []string{"websocket"}, []string{"upgrade"}
	}
	return out
}

// describe returns the parts of the description in r, and the first part that is missing or
// invalid.
func (st *state) describe(r *http.Request) (method, target, host, missing string) {
	d := description{header: r.Header}
	switch st.cfg.ForwardAuth {
	case Nginx:
		method, target, host = d.single("X-Original-Method"), d.single("X-Original-Uri"), d.single("X-Original-Host")
	case Envoy:
		method, host = r.Method, r.Host
		var found bool
		if target, found = strings.CutPrefix(r.RequestURI, envoyPathPrefix); !found {
			d.fail("the path prefix " + envoyPathPrefix)
		}
	default:
		method, target, host = d.single("X-Forwarded-Method"), d.single("X-Forwarded-Uri"), d.single("X-Forwarded-Host")
	}
	switch d.single("X-Forwarded-Proto") {
	case "http", "https", "ws", "wss":
	default:
		d.fail("X-Forwarded-Proto")
	}
	if !endsWithAddress(d.single("X-Forwarded-For")) {
		d.fail("X-Forwarded-For")
	}
	return method, target, host, d.missing
}

// description reads the header of a proxy's subrequest.
type description struct {
	header  http.Header
	missing string // the first part that is missing, repeated or invalid
}

func (d *description) fail(part string) {
	if d.missing == "" {
		d.missing = part
	}
}

// single returns the value of a field that must be present exactly once.
func (d *description) single(name string) string {
	values := d.header[name]
	if len(values) != 1 || values[0] == "" {
		d.fail(name)
		return ""
	}
	return values[0]
}

// endsWithAddress reports whether the right-most entry of X-Forwarded-For, which the proxy
// itself wrote, is an address.
func endsWithAddress(list string) bool {
	last := strings.Trim(list[strings.LastIndexByte(list, ',')+1:], " \t")
	if _, err := netip.ParseAddrPort(last); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(last, "[]"))
	return err == nil
}
