// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

var proxies = []gateway.ForwardAuth{gateway.Nginx, gateway.Traefik, gateway.Caddy, gateway.Envoy}

// asks configures a gateway that a proxy on loopback asks.
func asks(t testing.TB, f gateway.ForwardAuth, change func(*gateway.Config)) *site {
	t.Helper()
	cfg := gateway.Config{
		ForwardAuth: f, GroupsHeader: "Remote-Groups",
		Auth: otelauth.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}},
		Rules: []gateway.Rule{
			{Pattern: "/open/", Access: gateway.Public},
			{Pattern: "/admin/", Groups: []string{"ops"}, Sensitive: true},
			{Pattern: "GET /orders/{id}"},
			{Pattern: "POST /orders/{id}", Accounts: []string{"dave"}},
		},
	}
	if change != nil {
		change(&cfg)
	}
	s := &site{Recorder: otelauthtest.NewRecorder(t)}
	s.start(t, cfg)
	return s
}

// ask returns the subrequest of proxy f about method and target, as its documentation describes
// it.
func (s *site) ask(t testing.TB, f gateway.ForwardAuth, method, target, name, pass string) *http.Request {
	t.Helper()
	own, path := http.MethodGet, "/auth"
	if f == gateway.Envoy {
		own, path = method, "/otelauth"+target
	}
	r := s.request(t, own, "/", name, pass, nil)
	r.URL.Opaque = path // unchanged, byte for byte
	set := func(name, value string) { r.Header[name] = []string{value} }
	switch f {
	case gateway.Nginx:
		set("X-Original-Method", method)
		set("X-Original-Uri", target)
		set("X-Original-Host", "shop.example")
	case gateway.Envoy:
		r.Host = "shop.example"
	default:
		set("X-Forwarded-Method", method)
		set("X-Forwarded-Uri", target)
		set("X-Forwarded-Host", "shop.example")
	}
	set("X-Forwarded-Proto", "https")
	set("X-Forwarded-For", "192.0.2.7")
	return r
}

// seen returns the status that the client receives.
func seen(f gateway.ForwardAuth, res *http.Response) string {
	if recorded := res.Header.Get("X-Auth-Status"); f == gateway.Nginx && recorded != "" {
		return recorded
	}
	return res.Status[:3]
}

// The rules apply to the request that the proxy describes, and the event describes that request.
func TestForwardAuth(t *testing.T) {
	t.Parallel()
	for _, f := range proxies {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			s := asks(t, f, nil)
			n := 0
			for _, tt := range []struct {
				method, target, name, pass string
				status, user, groups       string
				route, path, reason        string // of the event; "" route: no attempt
			}{
				{"GET", "/orders/7?q=1", "alice", "wonderland", "200", "alice", "", "/orders/{id}", "/orders/7", ""},
				{"GET", "/admin/x", "root", "toor", "200", "root", "dev,ops", "/admin/", "/admin/x", ""},
				{"GET", "/admin/x", "alice", "wonderland", "403", "", "", "/admin/", "/admin/x", "not_permitted"},
				{"GET", "/ADMIN/x", "alice", "wonderland", "403", "", "", "/admin/", "/ADMIN/x", "not_permitted"},
				{"POST", "/orders/7", "alice", "wonderland", "403", "", "", "/orders/{id}", "/orders/7", "not_permitted"},
				{"HEAD", "/orders/7", "alice", "wonderland", "200", "alice", "", "/orders/{id}", "/orders/7", ""},
				{"GET", "/orders/7", "alice", "builder", "401", "", "", "/orders/{id}", "/orders/7", "wrong_password"},
				{"GET", "/unnamed", "", "", "401", "", "", "/", "/unnamed", ""},
				{"GET", "/open/x", "", "", "200", "", "", "", "", ""},
				{"DELETE", "/open/x", "alice", "wonderland", "200", "alice", "", "/open/", "/open/x", ""},
				{"GET", "/open/x", "alice", "builder", "200", "", "", "/open/", "/open/x", "wrong_password"},
				{"GET", "/open/..%2fadmin/x", "", "", "400", "", "", "/", "/open/..%2fadmin/x", "raw_path"},
				{"GET", "/open/../admin/x", "", "", "400", "", "", "/", "/open/../admin/x", "raw_path"},
				{"GET", "//open/x", "root", "toor", "400", "", "", "/", "//open/x", "raw_path"},
				{"GET", "/open/%2e%2e/admin/", "", "", "400", "", "", "/", "/open/%2e%2e/admin/", "raw_path"},
				{"TRACE", "/open/x", "root", "toor", "400", "", "", "/", "/open/x", "method_refused"},
			} {
				if f == gateway.Envoy && tt.method == "TRACE" {
					continue // Go's client adds a body that net/http's server refuses for TRACE
				}
				res, body := s.do(t, s.ask(t, f, tt.method, tt.target, tt.name, tt.pass))
				what := tt.method + " " + tt.target + " " + tt.name + ":" + tt.pass
				equal(t, what+": status", seen(f, res), tt.status)
				equal(t, what+": Remote-User", res.Header.Get("Remote-User"), tt.user)
				equal(t, what+": X-Forwarded-User", res.Header.Get("X-Forwarded-User"), tt.user)
				equal(t, what+": groups", res.Header.Get("Remote-Groups"), tt.groups)
				if _, there := res.Header["Remote-User"]; there != (tt.user != "" || f == gateway.Caddy && tt.status == "200") {
					t.Errorf("%s: Remote-User is there: %v", what, there)
				}
				if challenge := res.Header.Get("Www-Authenticate"); (challenge != "") != (tt.status == "401") {
					t.Errorf("%s: challenge %q", what, challenge)
				}
				if f == gateway.Nginx && !slices.Contains([]int{200, 401, 403}, res.StatusCode) {
					t.Errorf("%s: nginx makes a 500 of %d", what, res.StatusCode)
				}
				if tt.route == "" {
					continue
				}
				if tt.status != "200" && tt.method != http.MethodHead {
					p := problemOf(t, body)
					if res.Header.Get("X-Auth-Trace-Id") != p.TraceID && f == gateway.Nginx || p.TraceID == "" {
						t.Errorf("%s: trace id %q, body %q", what, res.Header.Get("X-Auth-Trace-Id"), body)
					}
				}
				events := s.attempts()
				if len(events) != n+1 {
					t.Fatalf("%s: %d events, want %d", what, len(events), n+1)
				}
				e := events[n]
				n++
				equal(t, what+": route", e.Attribute("http.route"), tt.route)
				equal(t, what+": path", e.Attribute("url.path"), tt.path)
				equal(t, what+": method", e.Attribute("http.request.method"), tt.method)
				equal(t, what+": client", e.Attribute("client.address"), "192.0.2.7")
				equal(t, what+": peer", e.Attribute("network.peer.address"), "127.0.0.1")
				equal(t, what+": reason", e.Attribute(semconv.KeyReason), tt.reason)
				m := e.Attributes().Map()
				_, recorded := m["http.response.status_code"]
				if elsewhere := m[semconv.KeyResponseElsewhere] == true; elsewhere != (tt.status == "200") || recorded == elsewhere {
					t.Errorf("%s: elsewhere %v, status recorded: %v", what, elsewhere, recorded)
				}
				if tt.status == "200" {
					if got := res.Header.Get("Traceparent"); !e.TraceID().IsValid() || !strings.Contains(got, e.TraceID().String()) {
						t.Errorf("%s: traceparent %q, event of trace %s", what, got, e.TraceID())
					}
				}
			}
		})
	}
}

// A description that is incomplete, repeated or not from a trusted proxy is refused and recorded.
func TestForwardAuthBelief(t *testing.T) {
	t.Parallel()
	for _, f := range proxies {
		s := asks(t, f, nil)
		names := []string{"X-Forwarded-Proto", "X-Forwarded-For"}
		switch f {
		case gateway.Nginx:
			names = append(names, "X-Original-Method", "X-Original-Uri", "X-Original-Host")
		case gateway.Traefik, gateway.Caddy:
			names = append(names, "X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host")
		}
		refused := func(what, reason string, status int, change func(*http.Request)) {
			t.Helper()
			before := len(s.attempts())
			r := s.ask(t, f, http.MethodGet, "/open/x", "root", "toor")
			change(r)
			res, body := s.do(t, r)
			if body == "" {
				t.Fatalf("%v: %s: %s", f, what, res.Status)
			}
			if got := problemOf(t, body).Status; got != status {
				t.Errorf("%v: %s: %d, want %d", f, what, got, status)
			}
			if res.Header["Remote-User"] != nil || res.Header["Traceparent"] != nil || res.Header["Www-Authenticate"] != nil {
				t.Errorf("%v: %s: header %v", f, what, res.Header)
			}
			events := s.attempts()
			if len(events) != before+1 {
				t.Fatalf("%v: %s: %d events", f, what, len(events)-before)
			}
			equal(t, f.String()+": "+what+": reason", events[before].Attribute(semconv.KeyReason), reason)
			equal(t, f.String()+": "+what+": user", events[before].Attribute("user.name"), "")
		}
		for _, name := range names {
			refused("no "+name, "forwarded_request", 403, func(r *http.Request) { r.Header.Del(name) })
			refused("empty "+name, "forwarded_request", 403, func(r *http.Request) { r.Header[name] = []string{""} })
			refused("two "+name, "forwarded_request", 403, func(r *http.Request) { r.Header[name] = append(r.Header[name], r.Header[name][0]) })
		}
		refused("no address", "forwarded_request", 403, func(r *http.Request) { r.Header["X-Forwarded-For"] = []string{"192.0.2.7, unknown"} })
		refused("no scheme", "forwarded_request", 403, func(r *http.Request) { r.Header["X-Forwarded-Proto"] = []string{"http, https"} })
		refused("plaintext", "plaintext_refused", 403, func(r *http.Request) {
			*r = *s.ask(t, f, http.MethodGet, "/orders/7", "root", "toor")
			r.Header["X-Forwarded-Proto"] = []string{"http"}
		})
		switch f {
		case gateway.Envoy:
			refused("no prefix", "forwarded_request", 403, func(r *http.Request) { r.URL.Opaque = "/open/x" })
			refused("no slash", "raw_path", 400, func(r *http.Request) { r.URL.Opaque = "/otelauth" + "open/x" })
			refused("nothing", "raw_path", 400, func(r *http.Request) { r.URL.Opaque = "/otelauth" })
		default:
			name := "X-Forwarded-Uri"
			if f == gateway.Nginx {
				name = "X-Original-Uri"
			}
			for _, target := range []string{"http://shop.example/open/x", "open/x", "*", "?", "/open/%zz"} {
				refused(target, "raw_path", 400, func(r *http.Request) { r.Header[name] = []string{target} })
			}
		}

		// Another network is trusted, so every header is the client's.
		stranger := asks(t, f, func(cfg *gateway.Config) {
			cfg.Auth.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		})
		s = stranger
		refused("a stranger", "untrusted_proxy", 403, func(*http.Request) {})
		equal(t, "the stranger's address", s.attempts()[0].Attribute("client.address"), "127.0.0.1")
	}
}

// Headers that another kind of proxy would write are the client's own and are ignored.
func TestForwardAuthForeignHeaders(t *testing.T) {
	t.Parallel()
	for _, f := range proxies {
		s := asks(t, f, nil)
		r := s.ask(t, f, http.MethodGet, "/admin/x", "alice", "wonderland")
		foreign := http.Header{
			"X-Original-Url": {"/open/x"}, "X-Rewrite-Url": {"/open/x"}, "X-Http-Method-Override": {"OPTIONS"}, "X-Envoy-Original-Path": {"/open/x"},
			"X-Auth-Status": {"200"}, "Remote-User": {"root"}, "X-Forwarded-User": {"root"}, "Remote_user": {"root"}, "Remote-Groups": {"ops"},
			"Forwarded": {"for=127.0.0.1;proto=https"}, "X-Real-Ip": {"127.0.0.1"},
		}
		if f == gateway.Nginx || f == gateway.Envoy {
			foreign["X-Forwarded-Uri"], foreign["X-Forwarded-Method"], foreign["X-Forwarded-Host"] = []string{"/open/x"}, []string{"OPTIONS"}, []string{"x"}
		}
		if f != gateway.Nginx {
			foreign["X-Original-Uri"], foreign["X-Original-Method"], foreign["X-Original-Host"] = []string{"/open/x"}, []string{"OPTIONS"}, []string{"x"}
		}
		for name, values := range foreign {
			r.Header[name] = values
		}
		res, _ := s.do(t, r)
		equal(t, f.String(), seen(f, res), "403")
		for name := range foreign {
			if got := res.Header.Get(name); got != "" && (name != "X-Auth-Status" || f != gateway.Nginx) {
				t.Errorf("%v: the answer holds %s: %q", f, name, got)
			}
		}
		e := s.attempts()[0]
		equal(t, f.String()+": path", e.Attribute("url.path"), "/admin/x")
		equal(t, f.String()+": client", e.Attribute("client.address"), "192.0.2.7")
	}
}

// nginx receives 403 and the original status in a header; the other proxies receive the original
// status.
func TestForwardAuthThrottled(t *testing.T) {
	t.Parallel()
	for _, f := range proxies {
		s := asks(t, f, nil)
		budget := throttle.DefaultLimits().NewPair.Burst
		for i := range budget {
			_, _ = s.do(t, s.ask(t, f, http.MethodGet, "/orders/7", "alice", fmt.Sprint("wrong", i)))
		}
		res, _ := s.do(t, s.ask(t, f, http.MethodGet, "/orders/7", "alice", "wonderland"))
		if f != gateway.Nginx {
			equal(t, f.String(), res.StatusCode, 429)
			if res.Header.Get("Retry-After") == "" || res.Header["X-Auth-Status"] != nil || res.Header["X-Auth-Retry-After"] != nil {
				t.Errorf("%v: %v", f, res.Header)
			}
			continue
		}
		equal(t, f.String(), res.StatusCode, 403)
		equal(t, "X-Auth-Status", res.Header.Get("X-Auth-Status"), "429")
		if after := res.Header.Get("X-Auth-Retry-After"); after == "" || after != res.Header.Get("Retry-After") {
			t.Errorf("X-Auth-Retry-After %q beside %v", after, res.Header)
		}
		equal(t, "the event's status", s.attempts()[budget].Attributes().Map()["http.response.status_code"], any(int64(429)))
	}
}

// A page of another origin cannot use the browser's credentials, nor open a WebSocket with them.
func TestForwardAuthOrigin(t *testing.T) {
	t.Parallel()
	for _, f := range proxies {
		s := asks(t, f, func(cfg *gateway.Config) {
			cfg.Rules = []gateway.Rule{{Pattern: "shop.example/"}, {Pattern: "other.example/", Accounts: []string{"dave"}}}
		})
		for _, tt := range []struct {
			method, origin, socket, status string
		}{
			{"POST", "https://evil.example", "", "403"},
			{"POST", "https://shop.example", "", "200"},
			{"GET", "https://evil.example", "", "200"},
			{"GET", "https://evil.example", "dGhlIHNhbXBsZSBub25jZQ==", "403"},
			{"GET", "https://shop.example", "dGhlIHNhbXBsZSBub25jZQ==", "200"},
		} {
			r := s.ask(t, f, tt.method, "/unnamed", "alice", "wonderland")
			r.Header.Set("Origin", tt.origin)
			if tt.socket != "" {
				r.Header.Set("Sec-Websocket-Key", tt.socket)
			}
			res, _ := s.do(t, r)
			equal(t, f.String()+": "+tt.method+" of "+tt.origin+" "+tt.socket, seen(f, res), tt.status)
		}
		// A rule for a host compares the client's host.
		r := s.ask(t, f, http.MethodGet, "/unnamed", "alice", "wonderland")
		switch f {
		case gateway.Nginx:
			r.Header.Set("X-Original-Host", "Other.example:443")
		case gateway.Envoy:
			r.Host = "Other.example:443"
		default:
			r.Header.Set("X-Forwarded-Host", "Other.example:443")
		}
		res, _ := s.do(t, r)
		equal(t, f.String()+": the other host", seen(f, res), "403")
	}
}

func TestForwardAuthConfig(t *testing.T) {
	t.Parallel()
	whole := gateway.Config{
		ForwardAuth: gateway.Caddy,
		Auth:        otelauth.Config{Accounts: accounts(t), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}},
	}
	if err := gateway.Check(whole); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*gateway.Config){
		"ForwardAuth":          func(c *gateway.Config) { c.ForwardAuth = 9 },
		"Upstream":             func(c *gateway.Config) { c.Upstream = "http://127.0.0.1:1" },
		"UpstreamCAFile":       func(c *gateway.Config) { c.UpstreamCAFile = "ca.pem" },
		"UpstreamHost":         func(c *gateway.Config) { c.UpstreamHost = "x" },
		"StripHeaders":         func(c *gateway.Config) { c.StripHeaders = []string{"X-Y"} },
		"PassAuthorization":    func(c *gateway.Config) { c.PassAuthorization = []string{"/x"} },
		"Auth.TrustedProxies":  func(c *gateway.Config) { c.Auth.TrustedProxies = nil },
		"Auth.ForwardedHeader": func(c *gateway.Config) { c.Auth.ForwardedHeader = clientip.Forwarded },
		"IdentityHeaders[0]":   func(c *gateway.Config) { c.IdentityHeaders = []string{"x-auth-status"} },
		"GroupsHeader":         func(c *gateway.Config) { c.GroupsHeader = "WWW-Authenticate" },
	} {
		cfg := whole
		change(&cfg)
		var problem *gateway.ConfigError
		if err := gateway.Check(cfg); !errors.As(err, &problem) || problem.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	sockets := whole
	sockets.Auth.TrustedProxies, sockets.Auth.TrustUnixSocket = nil, true
	if err := gateway.Check(sockets); err != nil {
		t.Error(err)
	}

	gw, err := gateway.New(whole)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = gw.Shutdown(context.Background()) })
	other := whole
	other.ForwardAuth = gateway.Nginx
	var problem *gateway.ConfigError
	if err := gw.Reconfigure(other); !errors.As(err, &problem) || problem.Field != "ForwardAuth" {
		t.Errorf("another proxy: %v", err)
	}
	if err := gw.Reconfigure(whole); err != nil {
		t.Error(err)
	}

	for _, f := range append([]gateway.ForwardAuth{gateway.NoForwardAuth}, proxies...) {
		var back gateway.ForwardAuth
		text, err := f.MarshalText()
		if err != nil || back.UnmarshalText(text) != nil || back != f {
			t.Errorf("%v: %s, %v, %v", f, text, err, back)
		}
	}
	if err := new(gateway.ForwardAuth).UnmarshalText([]byte("haproxy")); err == nil {
		t.Error("haproxy was accepted")
	}
}
