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

// original returns the request that r describes; with a refusal in x it is r itself, without its body. The header remains that of r, since the
// client's own is in it and the address is resolved from it again.
func (st *state) original(r *http.Request, x *exchange) *http.Request {
	out := r.WithContext(x)
	out.Body, out.ContentLength, out.TransferEncoding = http.NoBody, 0, nil
	if !st.clients.Resolve(r).PeerTrusted {
		x.refused = otelauth.Refusal{
			Status: http.StatusForbidden, Reason: attempt.ReasonUntrustedProxy,
			Detail: "Proxies ask here, and the one that asks is none that is trusted. The operator names its network in Config.Auth.TrustedProxies.",
		}
		return out
	}
	d := description{header: r.Header}
	var method, target, host string
	switch st.cfg.ForwardAuth {
	case Nginx:
		method, target, host = d.one("X-Original-Method"), d.one("X-Original-Uri"), d.one("X-Original-Host")
	case Envoy:
		method, host = r.Method, r.Host
		var found bool
		if target, found = strings.CutPrefix(r.RequestURI, EnvoyPathPrefix); !found {
			d.fault("the path prefix " + EnvoyPathPrefix)
		}
	default:
		method, target, host = d.one("X-Forwarded-Method"), d.one("X-Forwarded-Uri"), d.one("X-Forwarded-Host")
	}
	switch d.one("X-Forwarded-Proto") {
	case "http", "https", "ws", "wss":
	default:
		d.fault("X-Forwarded-Proto")
	}
	if !names(d.one("X-Forwarded-For")) {
		d.fault("X-Forwarded-For")
	}
	if d.missing != "" {
		x.refused = otelauth.Refusal{
			Status: http.StatusForbidden, Reason: attempt.ReasonForwardedRequest,
			Detail: "The proxy does not say, or not exactly once, what it asks for: " + d.missing + ".",
		}
		return out
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || target[0] != '/' {
		x.refused = otelauth.Refusal{
			Status: http.StatusBadRequest, Reason: attempt.ReasonRawPath,
			Detail: "What the proxy asks for has no path that can be read.",
		}
		return out
	}
	out.Method, out.URL, out.RequestURI, out.Host = method, u, target, host
	if r.Header["Sec-Websocket-Key"] != nil && r.Header["Upgrade"] == nil {
		// The handshake of a WebSocket, whose hop-by-hop headers end at the proxy.
		out.Header = r.Header.Clone()
		out.Header["Upgrade"], out.Header["Connection"] = []string{"websocket"}, []string{"upgrade"}
	}
	return out
}

// description is the header of a proxy's request.
type description struct {
	header  http.Header
	missing string // the first part that is not there once
}

func (d *description) fault(part string) {
	if d.missing == "" {
		d.missing = part
	}
}

// one returns the value of a field that must be there once.
func (d *description) one(name string) string {
	values := d.header[name]
	if len(values) != 1 || values[0] == "" {
		d.fault(name)
		return ""
	}
	return values[0]
}

// names reports whether the right-most entry of X-Forwarded-For, which the proxy itself wrote, is an address.
func names(list string) bool {
	last := strings.Trim(list[strings.LastIndexByte(list, ',')+1:], " \t")
	if _, err := netip.ParseAddrPort(last); err == nil {
		return true
	}
	_, err := netip.ParseAddr(strings.Trim(last, "[]"))
	return err == nil
}
