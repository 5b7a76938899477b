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

// ForwardAuth is the proxy that asks whether to let a request pass, in place of an upstream. The zero ForwardAuth is none.
//
// Such a proxy sends a request of its own that describes the client's. The description is believed from Auth.TrustedProxies
// only, and each part of it must come exactly once; anything else is answered 403. The rules of the [Config], the check
// of the path's form and that of the origin hold for the request that is described:
//
//	            Nginx               Traefik, Caddy       Envoy
//	method      X-Original-Method   X-Forwarded-Method   the request's own
//	URI         X-Original-Uri      X-Forwarded-Uri      the request's own, behind EnvoyPathPrefix
//	host        X-Original-Host     X-Forwarded-Host     the request's own
//	scheme      X-Forwarded-Proto
//	client      X-Forwarded-For, the right-most address that is no trusted proxy
//
// The answer is 200 when the proxy may let the request pass, with the identity headers, which are absent (for Caddy, empty) for nobody at a public
// endpoint: the proxy must overwrite those of the client with them, or remove them. It also has the traceparent of the
// gateway's span, and X-Request-Id. Any other status is the answer to the client, with its challenge and Retry-After. Bodies are
// not looked at.
//
// What the service behind the proxy answers is unknown here, and the event of a success says so: it has auth.response.elsewhere and
// no http.response.status_code.
type ForwardAuth uint8

const (
	// NoForwardAuth: the gateway is a proxy itself, to Config.Upstream.
	NoForwardAuth ForwardAuth = iota
	// Nginx is ngx_http_auth_request_module. It knows 2xx, 401 and 403 only, so every other denial is a 403 with the true
	// status in X-Auth-Status, its Retry-After in X-Auth-Retry-After and the trace id in X-Auth-Trace-Id, which an error_page restores.
	Nginx
	// Traefik is its ForwardAuth middleware, without trustForwardHeader.
	Traefik
	// Caddy is its forward_auth directive. Headers of the answer that would be absent are empty: the copy_headers of older
	// versions (2.6 was seen to) writes the name of its placeholder for an absent one, and the service takes that for an account.
	Caddy
	// Envoy is its ext_authz filter with an HTTP service whose path_prefix is [EnvoyPathPrefix].
	Envoy
)

// EnvoyPathPrefix is what Envoy puts before the path that it asks for.
const EnvoyPathPrefix = "/otelauth"

// The response headers of [Nginx], on denials.
const (
	HeaderStatus     = "X-Auth-Status"
	HeaderRetryAfter = "X-Auth-Retry-After"
	HeaderTraceID    = "X-Auth-Trace-Id"
)

var forwardAuthNames = [...]string{"", "nginx", "traefik", "caddy", "envoy"}

// String returns "nginx", "traefik", "caddy", "envoy", or "" for [NoForwardAuth].
func (f ForwardAuth) String() string {
	if int(f) < len(forwardAuthNames) {
		return forwardAuthNames[f]
	}
	return fmt.Sprintf("ForwardAuth(%d)", uint8(f))
}

// MarshalText returns what [ForwardAuth.UnmarshalText] reads.
func (f ForwardAuth) MarshalText() ([]byte, error) {
	if int(f) >= len(forwardAuthNames) {
		return nil, fmt.Errorf("otelauth/gateway: %v is no ForwardAuth; use Nginx, Traefik, Caddy or Envoy", f)
	}
	return []byte(f.String()), nil
}

// UnmarshalText reads the name of a proxy in lower case, or nothing.
func (f *ForwardAuth) UnmarshalText(text []byte) error {
	i := slices.Index(forwardAuthNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("otelauth/gateway: forward-auth %q is none of nginx, traefik, caddy and envoy", text)
	}
	*f = ForwardAuth(i)
	return nil
}

// checkForwardAuth reports what does not fit a gateway that proxies nothing.
func (cfg *Config) checkForwardAuth(fault func(field string, err error)) {
	if cfg.ForwardAuth == NoForwardAuth {
		return
	}
	if cfg.ForwardAuth > Envoy {
		fault("ForwardAuth", fmt.Errorf("is %d; use Nginx, Traefik, Caddy or Envoy", cfg.ForwardAuth))
	}
	none := errors.New("is for a gateway that is the proxy itself; with ForwardAuth leave it unset")
	for field, set := range map[string]bool{
		"Upstream": cfg.Upstream != "", "UpstreamCAFile": cfg.UpstreamCAFile != "", "UpstreamHost": cfg.UpstreamHost != "",
		"StripHeaders": len(cfg.StripHeaders) > 0, "PassAuthorization": cfg.PassAuthorization,
	} {
		if set {
			fault(field, none)
		}
	}
	if len(cfg.Auth.TrustedProxies) == 0 && !cfg.Auth.TrustUnixSocket {
		fault("Auth.TrustedProxies", errors.New("is empty, so that nobody could be believed what is asked for; name the proxy's network, or set Auth.TrustUnixSocket"))
	}
	if cfg.Auth.ForwardedHeader != clientip.XForwardedFor {
		fault("Auth.ForwardedHeader", errors.New("proxies that ask write X-Forwarded-For; leave it unset"))
	}
	for i, name := range cfg.IdentityHeaders {
		if answers(http.CanonicalHeaderKey(name)) {
			fault(fmt.Sprintf("IdentityHeaders[%d]", i), fmt.Errorf("%q: has a meaning of its own in the answer to the proxy; choose another", name))
		}
	}
	if answers(http.CanonicalHeaderKey(cfg.GroupsHeader)) {
		fault("GroupsHeader", fmt.Errorf("%q: has a meaning of its own in the answer to the proxy; choose another", cfg.GroupsHeader))
	}
}

// answers are the headers that the answer to a proxy has for other purposes.
func answers(canonical string) bool {
	switch canonical {
	case HeaderStatus, HeaderRetryAfter, HeaderTraceID, "Www-Authenticate", "Retry-After", "Cache-Control", "Content-Type", "Location", "Set-Cookie", "Date":
		return true
	}
	return false
}

// let tells the proxy that the request may pass, and whose it is.
func (g *Gateway) let(w http.ResponseWriter, r *http.Request, x *exchange) {
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
	if !g.blind {
		g.propagators.Inject(r.Context(), carrier(header))
	}
	if x.state.cfg.ForwardAuth == Caddy {
		empty := append([]string{x.state.headers.groups, "Traceparent", "Tracestate"}, x.state.headers.identity...)
		for _, name := range empty {
			if name != "" && header[name] == nil {
				header[name] = []string{""}
			}
		}
	}
	w.WriteHeader(http.StatusOK)
}

// carrier keeps baggage, which has no bound, out of response headers.
type carrier http.Header

func (c carrier) Get(key string) string { return http.Header(c).Get(key) }
func (c carrier) Set(key, value string) {
	if !strings.EqualFold(key, "baggage") {
		http.Header(c).Set(key, value)
	}
}
func (c carrier) Keys() []string { return nil }
