// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
)

// ForwardAuth is the proxy that asks this gateway whether to let a request pass. The zero
// ForwardAuth is [NoForwardAuth].
//
// Such a proxy sends a subrequest that describes the client's request. The description is
// accepted only from Auth.TrustedProxies, and each part of it must be present exactly once;
// otherwise the answer is 403. The rules of the [Config], the check of the path's form and the
// check of the origin apply to the described request:
//
//	            Nginx               Traefik, Caddy       Envoy
//	method      X-Original-Method   X-Forwarded-Method   the subrequest's own
//	URI         X-Original-Uri      X-Forwarded-Uri      the subrequest's own, after "/otelauth"
//	host        X-Original-Host     X-Forwarded-Host     the subrequest's own
//	scheme      X-Forwarded-Proto
//	client      X-Forwarded-For, the right-most address that is not a trusted proxy
//
// The answer is 200 when the proxy may let the request pass. It carries the identity headers,
// the traceparent of the gateway's span, and X-Request-Id. For an anonymous caller of a public
// endpoint the identity headers are absent (for Caddy, empty). The proxy must replace the
// client's identity headers with those of the answer, or remove them. Any other status is the
// answer for the client, with its challenge and Retry-After. Bodies are not read.
//
// The gateway does not see the answer of the service behind the proxy. The event of a success
// therefore has auth.response.elsewhere instead of http.response.status_code.
type ForwardAuth uint8

const (
	// NoForwardAuth means that the gateway is the proxy and forwards to Config.Upstream.
	NoForwardAuth ForwardAuth = iota
	// Nginx is ngx_http_auth_request_module. It accepts only 2xx, 401 and 403, so every other
	// denial becomes a 403. The original status is in X-Auth-Status, Retry-After in
	// X-Auth-Retry-After and the trace id in X-Auth-Trace-Id; an error_page can restore them.
	Nginx
	// Traefik is Traefik's ForwardAuth middleware, without trustForwardHeader.
	Traefik
	// Caddy is Caddy's forward_auth directive. Absent headers of the answer are sent empty,
	// because copy_headers of older versions (2.6, for example) copies the name of its
	// placeholder for an absent header, and the service would take that name for an account.
	Caddy
	// Envoy is Envoy's ext_authz filter with an HTTP service whose path_prefix is "/otelauth".
	Envoy
)

// envoyPathPrefix is the path_prefix that Envoy adds to the path of its subrequest.
const envoyPathPrefix = "/otelauth"

// The response headers of [Nginx] on denials.
const (
	headerStatus     = "X-Auth-Status"
	headerRetryAfter = "X-Auth-Retry-After"
	headerTraceID    = "X-Auth-Trace-Id"
)

var forwardAuthNames = [...]string{"", "nginx", "traefik", "caddy", "envoy"}

// String returns "nginx", "traefik", "caddy", "envoy", or "" for [NoForwardAuth].
func (f ForwardAuth) String() string {
	if int(f) < len(forwardAuthNames) {
		return forwardAuthNames[f]
	}
	return fmt.Sprintf("ForwardAuth(%d)", uint8(f))
}

// MarshalText returns the text that [ForwardAuth.UnmarshalText] reads.
func (f ForwardAuth) MarshalText() ([]byte, error) {
	if int(f) >= len(forwardAuthNames) {
		return nil, fmt.Errorf("otelauth/gateway: %v is not a ForwardAuth; use Nginx, Traefik, Caddy or Envoy", f)
	}
	return []byte(f.String()), nil
}

// UnmarshalText reads the name of a proxy in lower case, or "" for [NoForwardAuth].
func (f *ForwardAuth) UnmarshalText(text []byte) error {
	i := slices.Index(forwardAuthNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("otelauth/gateway: forward-auth %q is unknown; write nginx, traefik, caddy or envoy", text)
	}
	*f = ForwardAuth(i)
	return nil
}

// checkForwardAuth reports fields that a gateway without an upstream does not use, and those
// that it needs.
func (cfg *Config) checkForwardAuth(report report) {
	if cfg.ForwardAuth == NoForwardAuth {
		return
	}
	if cfg.ForwardAuth > Envoy {
		report("ForwardAuth", fmt.Errorf("is %d; use Nginx, Traefik, Caddy or Envoy", cfg.ForwardAuth))
	}
	for field, set := range map[string]bool{
		"Upstream": cfg.Upstream != "", "UpstreamCAFile": cfg.UpstreamCAFile != "", "UpstreamHost": cfg.UpstreamHost != "",
		"StripHeaders": len(cfg.StripHeaders) > 0, "PassAuthorization": len(cfg.PassAuthorization) > 0,
	} {
		if set {
			report(field, errors.New("has no effect with ForwardAuth, which forwards nothing; leave it unset"))
		}
	}
	if len(cfg.Auth.TrustedProxies) == 0 && !cfg.Auth.TrustUnixSocket {
		report("Auth.TrustedProxies", errors.New("is empty, so no proxy may ask; name the proxy's network, or set Auth.TrustUnixSocket"))
	}
	if cfg.Auth.ForwardedHeader != clientip.XForwardedFor {
		report("Auth.ForwardedHeader", errors.New("must be X-Forwarded-For, which proxies that ask write; leave it unset"))
	}
	for i, name := range cfg.IdentityHeaders {
		if isAnswerHeader(http.CanonicalHeaderKey(name)) {
			report(fmt.Sprintf("IdentityHeaders[%d]", i), reservedAnswerHeader(name))
		}
	}
	if isAnswerHeader(http.CanonicalHeaderKey(cfg.GroupsHeader)) {
		report("GroupsHeader", reservedAnswerHeader(cfg.GroupsHeader))
	}
}

func reservedAnswerHeader(name string) error {
	return fmt.Errorf("%q: this header has another meaning in the answer to the proxy; choose another", name)
}

// isAnswerHeader reports whether the answer to a proxy uses the header for another purpose than
// identity.
func isAnswerHeader(canonical string) bool {
	switch canonical {
	case headerStatus, headerRetryAfter, headerTraceID, "Www-Authenticate", "Retry-After", "Cache-Control", "Content-Type",
		"Location", "Set-Cookie", "Date":
		return true
	}
	return false
}

// allow answers the proxy that the request may pass, with the identity of the caller.
func (g *Gateway) allow(w http.ResponseWriter, r *http.Request, x *exchange) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if user, ok := otelauth.UserFromContext(r.Context()); ok {
		for _, name := range x.state.headers.identity {
			header[name] = []string{user.Name}
		}
		if name := x.state.headers.groups; name != "" {
			header[name] = []string{joinGroups(user.Groups)}
		}
	}
	if !g.uninstrumented {
		g.propagators.Inject(r.Context(), carrier(header))
	}
	if x.state.cfg.ForwardAuth == Caddy {
		names := append([]string{x.state.headers.groups, "Traceparent", "Tracestate"}, x.state.headers.identity...)
		for _, name := range names {
			if name != "" && header[name] == nil {
				header[name] = []string{""}
			}
		}
	}
	w.WriteHeader(http.StatusOK)
}

// carrier writes the trace context into response headers, without baggage, whose size has no
// limit.
type carrier http.Header

func (c carrier) Get(key string) string { return http.Header(c).Get(key) }
func (c carrier) Set(key, value string) {
	if !strings.EqualFold(key, "baggage") {
		http.Header(c).Set(key, value)
	}
}
func (c carrier) Keys() []string { return nil }
