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
)

// identityFields bounds Config.IdentityHeaders, so that their values need no allocation of their own.
const identityFields = 4

// headers is what becomes of the head of a request.
type headers struct {
	identity []string
	groups   string
	pass     bool // Authorization
	dropped  map[string]struct{}
	prefixes []string
	initials [256]bool // of what is dropped
}

func newHeaders(cfg *Config) (*headers, []error) {
	h := &headers{pass: cfg.PassAuthorization, dropped: make(map[string]struct{})}
	var faults []error
	fault := func(field string, err error) { faults = append(faults, &ConfigError{Field: field, Err: err}) }
	name := func(field, text string) string {
		canonical := textproto.CanonicalMIMEHeaderKey(text)
		switch {
		case !plainName(text):
			fault(field, fmt.Errorf("%q: write letters, digits and \"-\"; the upstream may take anything else for one of those", text))
		case ours(canonical):
			fault(field, fmt.Errorf("%q: this header has a meaning of its own; choose another", text))
		}
		return canonical
	}
	if len(cfg.IdentityHeaders) > identityFields {
		fault("IdentityHeaders", fmt.Errorf("holds %d names, more than %d", len(cfg.IdentityHeaders), identityFields))
	}
	for i, text := range cfg.IdentityHeaders {
		h.identity = append(h.identity, name(fmt.Sprintf("IdentityHeaders[%d]", i), text))
	}
	if cfg.GroupsHeader != "" {
		h.groups = name("GroupsHeader", cfg.GroupsHeader)
		for _, identity := range h.identity {
			if identity == h.groups {
				fault("GroupsHeader", errors.New("is one of IdentityHeaders too; choose another"))
			}
		}
		h.drop(h.groups)
	}
	for _, text := range h.identity {
		h.drop(text)
	}
	for i, text := range cfg.StripHeaders {
		if plain := strings.TrimSuffix(text, "*"); !plainName(plain) {
			fault(fmt.Sprintf("StripHeaders[%d]", i), fmt.Errorf("%q: write letters, digits and \"-\", and \"*\" at the end for any rest; other names are removed anyway", text))
			continue
		}
		h.drop(textproto.CanonicalMIMEHeaderKey(text))
	}
	for _, text := range DefaultStripHeaders() {
		h.drop(text)
	}
	if !h.pass {
		h.drop("Authorization")
	}
	return h, faults
}

// ours are the headers that no identity may be written to.
func ours(canonical string) bool {
	switch canonical {
	case "Host", "Connection", "Content-Length", "Transfer-Encoding", "Trailer", "Te", "Upgrade", "Authorization", "Cookie", "X-Request-Id",
		"Traceparent", "Tracestate", "Baggage", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto":
		return true
	}
	return false
}

func (h *headers) drop(name string) {
	if prefix, found := strings.CutSuffix(name, "*"); found {
		// net/http writes each word with a capital.
		h.prefixes = append(h.prefixes, textproto.CanonicalMIMEHeaderKey(prefix))
	} else {
		h.dropped[name] = struct{}{}
	}
	h.initials[name[0]] = true
}

// drops reports whether a client's header must not reach the upstream.
func (h *headers) drops(name string) bool {
	if !plainName(name) {
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

// plainName reports whether no upstream can take the name for another one but by letter case, which net/http has made uniform.
func plainName(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return name != ""
}

// rewrite makes of the client's request the upstream's. Hop-by-hop headers, and what Connection names, are gone by now, so that a
// client cannot name ours.
func (g *Gateway) rewrite(pr *httputil.ProxyRequest) {
	in, out := pr.In, pr.Out
	x := exchangeOf(in.Context())
	st := x.state

	out.URL.Scheme, out.URL.Host, out.URL.User, out.URL.Opaque = st.upstream.scheme, st.upstream.host, nil, ""
	out.URL.RawQuery = in.URL.RawQuery // as it came: no rule depends on it
	if st.cfg.UpstreamHost != "" {
		out.Host = st.cfg.UpstreamHost
	}

	header := out.Header
	for name := range header {
		if st.headers.drops(name) {
			delete(header, name)
		}
	}
	if credentials := in.Header["Authorization"]; credentials != nil && st.headers.pass {
		// Connection may have named it, and removed it from out.
		header["Authorization"] = credentials
	}
	for name := range out.Trailer {
		if st.headers.drops(name) || ours(name) {
			delete(out.Trailer, name)
		}
	}
	x.body.forward(out.Trailer)
	if header["Upgrade"] != nil && (!upgrades(header) || !strings.EqualFold(header.Get("Upgrade"), "websocket") || in.Method != http.MethodGet) {
		delete(header, "Upgrade")
		delete(header, "Connection")
	}
	delete(header, "Http2-Settings") // belongs to an upgrade to h2c

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
	g.passTrace(in, out)
}

// passTrace keeps the client's own trace context from standing beside ours.
func (g *Gateway) passTrace(in, out *http.Request) {
	if g.blind && !g.mw.Untrusted(in) {
		return // we are not in the trace; the caller's goes on
	}
	delete(out.Header, "Traceparent")
	delete(out.Header, "Tracestate")
	delete(out.Header, "Baggage")
	if g.blind {
		return
	}
	for _, name := range g.propagators.Fields() {
		out.Header.Del(name)
	}
}

// tellable reports whether a name arrives as it is in a header: blanks at its ends would go on the way, and make it another's.
func tellable(name string) bool {
	for _, c := range []byte(name) {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return strings.Trim(name, " \t") == name
}

// joinGroups leaves out what could not be told from two groups, or from another.
func joinGroups(groups []string) string {
	var b strings.Builder
	for _, group := range groups {
		if strings.Contains(group, ",") || !tellable(group) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(group)
	}
	return b.String()
}
