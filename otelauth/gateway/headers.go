// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// maxIdentityHeaders limits Config.IdentityHeaders, so that their values need no allocation.
const maxIdentityHeaders = 4

// headers are the compiled settings for the header of a request.
type headers struct {
	identity  []string
	groups    string
	passBasic patterns
	dropped   map[string]struct{}
	prefixes  []string
	initials  [256]bool // of dropped and prefixes
}

func newHeaders(cfg *Config, report report) *headers {
	h := &headers{
		passBasic: newPatterns("PassAuthorization", cfg.PassAuthorization, report),
		dropped:   map[string]struct{}{"Authorization": {}},
	}
	h.initials['A'] = true
	if len(cfg.IdentityHeaders) > maxIdentityHeaders {
		report("IdentityHeaders", fmt.Errorf("holds %d names; name %d at most", len(cfg.IdentityHeaders), maxIdentityHeaders))
	}
	for i, text := range cfg.IdentityHeaders {
		h.identity = append(h.identity, identityHeader(fmt.Sprintf("IdentityHeaders[%d]", i), text, report))
	}
	if cfg.GroupsHeader != "" {
		h.groups = identityHeader("GroupsHeader", cfg.GroupsHeader, report)
		for _, identity := range h.identity {
			if identity == h.groups {
				report("GroupsHeader", errors.New("is one of IdentityHeaders too; choose another"))
			}
		}
		h.drop(h.groups)
	}
	for _, text := range h.identity {
		h.drop(text)
	}
	for i, text := range cfg.StripHeaders {
		if plain := strings.TrimSuffix(text, "*"); !isPlainName(plain) {
			report(fmt.Sprintf("StripHeaders[%d]", i),
				fmt.Errorf("%q: write letters, digits and \"-\", and \"*\" at the end for any rest; other names are removed anyway", text))
			continue
		}
		h.drop(textproto.CanonicalMIMEHeaderKey(text))
	}
	for _, text := range DefaultStripHeaders() {
		h.drop(text)
	}
	return h
}

// identityHeader returns the canonical name of a header that carries identity.
func identityHeader(field, text string, report report) string {
	canonical := textproto.CanonicalMIMEHeaderKey(text)
	switch {
	case !isPlainName(text):
		report(field, fmt.Errorf("%q: write letters, digits and \"-\"; the upstream may read any other character as one of these", text))
	case isReserved(canonical):
		report(field, fmt.Errorf("%q: this header has another meaning; choose another", text))
	}
	return canonical
}

// isReserved reports whether a header has another meaning, so that it cannot carry identity.
func isReserved(canonical string) bool {
	switch canonical {
	case "Host", "Connection", "Content-Length", "Transfer-Encoding", "Trailer", "Te", "Upgrade", "Authorization", "Cookie", "X-Request-Id",
		"Traceparent", "Tracestate", "Baggage", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
		return true
	}
	return false
}

func (h *headers) drop(name string) {
	if prefix, found := strings.CutSuffix(name, "*"); found {
		// net/http capitalizes each word of a name.
		h.prefixes = append(h.prefixes, textproto.CanonicalMIMEHeaderKey(prefix))
	} else {
		h.dropped[name] = struct{}{}
	}
	h.initials[name[0]] = true
}

// drops reports whether a client's header must not reach the upstream.
func (h *headers) drops(name string) bool {
	if !isPlainName(name) {
		return true
	}
	if !h.initials[name[0]] {
		return false
	}
	if _, found := h.dropped[name]; found {
		return true
	}
	for _, prefix := range h.prefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// isPlainName reports whether every upstream reads the name as the same name. Letter case does
// not matter, because net/http has made it uniform.
func isPlainName(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return name != ""
}

// rewrite turns the client's request into the upstream's. ReverseProxy has removed hop-by-hop
// headers and those that Connection names before, so a client cannot remove the gateway's
// headers with Connection.
func (g *Gateway) rewrite(pr *httputil.ProxyRequest) {
	in, out := pr.In, pr.Out
	x := exchangeOf(in.Context())
	st := x.state

	out.URL.Scheme, out.URL.Host, out.URL.User, out.URL.Opaque = st.upstream.scheme, st.upstream.host, nil, ""
	out.URL.RawQuery = in.URL.RawQuery // unchanged: no rule depends on it
	if st.cfg.UpstreamHost != "" {
		out.Host = st.cfg.UpstreamHost
	}
	st.strip(in, out)
	if x.passesAuthorization(in) {
		// If Connection names it, ReverseProxy has removed it from out.
		out.Header["Authorization"] = in.Header["Authorization"]
	}
	x.body.forward(out.Trailer)
	x.setHeaders(in, out)
	g.passTrace(in, out)
}

// strip removes the client's headers and trailers that must not reach the upstream.
func (st *state) strip(in, out *http.Request) {
	header := out.Header
	for name := range header {
		if st.headers.drops(name) {
			delete(header, name)
		}
	}
	for name := range out.Trailer {
		if st.headers.drops(name) || isReserved(name) {
			delete(out.Trailer, name)
		}
	}
	if header["Upgrade"] != nil && (!isWebSocket(header) || !strings.EqualFold(header.Get("Upgrade"), "websocket") || in.Method != http.MethodGet) {
		delete(header, "Upgrade")
		delete(header, "Connection")
	}
	delete(header, "Http2-Settings") // belongs to an upgrade to h2c
}

// passesAuthorization reports whether the client's Authorization reaches the upstream: Basic
// credentials where Config.PassAuthorization names the endpoint, and those of another scheme at
// public endpoints, where they are not for the gateway.
func (x *exchange) passesAuthorization(in *http.Request) bool {
	field, defect := credential.Split(in.Header, x.state.cfg.Auth.MaxHeaderBytes)
	switch {
	case field.Scheme == attempt.SchemeNone, defect != credential.NoDefect:
		return false
	case field.Scheme == attempt.SchemeBasic:
		return x.state.headers.passBasic.match(in)
	}
	return x.decision.Public
}

// setHeaders adds the gateway's own headers, whose values x holds.
func (x *exchange) setHeaders(in, out *http.Request) {
	st, header := x.state, out.Header
	values := x.values[:0]
	set := func(name, value string) {
		values = append(values, value)
		header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	if user, ok := otelauth.UserFromContext(in.Context()); ok {
		for _, name := range st.headers.identity {
			set(name, user.Name)
		}
		if st.headers.groups != "" {
			set(st.headers.groups, joinGroups(user.Groups))
		}
	}
	client := st.clients.Resolve(in)
	if client.Addr.IsValid() {
		set("X-Forwarded-For", client.Addr.String())
	}
	proto := "http"
	if in.TLS != nil && !client.PeerTrusted || client.PeerTrusted && client.Secure {
		proto = "https"
	}
	set("X-Forwarded-Proto", proto)
	set("X-Forwarded-Host", in.Host)
	header["X-Request-Id"] = x.ids[:1:1]
}

// passTrace removes the client's trace context, because the client span writes its own. Without
// instrumentation the context of a trusted caller passes unchanged.
func (g *Gateway) passTrace(in, out *http.Request) {
	if g.uninstrumented && !g.mw.Untrusted(in) {
		return
	}
	delete(out.Header, "Traceparent")
	delete(out.Header, "Tracestate")
	delete(out.Header, "Baggage")
	if g.uninstrumented {
		return
	}
	for _, name := range g.propagators.Fields() {
		out.Header.Del(name)
	}
}

// isHeaderSafe reports whether a header transmits name unchanged. Spaces at its ends would be
// lost in transit, which could make it another account's name.
func isHeaderSafe(name string) bool {
	for _, c := range []byte(name) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return strings.Trim(name, " \t") == name
}

// joinGroups joins the names by commas. It leaves out names that the upstream could read as two
// groups or as another one.
func joinGroups(groups []string) string {
	var b strings.Builder
	for _, group := range groups {
		if strings.Contains(group, ",") || !isHeaderSafe(group) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(group)
	}
	return b.String()
}
