// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// proxies are the proxies that run here, with the shipped configurations except for addresses
// and the certificate.
var proxies = map[string]func(*testing.T) *site{"nginx": nginx, "caddy": caddy}

// The response to the client, the request at the application, and the event.
func TestProxies(t *testing.T) {
	t.Parallel()
	for name, start := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for i, tt := range []struct {
				what, method, target, account string
				status                        int
				user                          string // of the application; "-": not reached
				route, reason                 string
			}{
				{"success", "GET", "/orders?q=a%2fb", alice, 200, "alice", "/", ""},
				{"a method", "DELETE", "/orders/7", alice, 200, "alice", "/", ""},
				{"anonymous", "GET", "/orders", "", 401, "-", "/", ""},
				{"wrong", "GET", "/orders", wrong, 401, "-", "/", "wrong_password"},
				{"not of the group", "GET", "/admin/x", alice, 403, "-", "/admin/", "not_permitted"},
				{"of the group", "GET", "/admin/x", root, 200, "root", "/admin/", ""},
				{"public", "GET", "/open/x", "", 200, "", "", ""},
				{"public, somebody", "GET", "/open/x", alice, 200, "alice", "/open/", ""},
				{"public, wrong", "GET", "/open/x", wrong, 200, "", "/open/", "wrong_password"},
				{"the application's own 403", "GET", "/own", alice, 403, "alice", "/", ""},
			} {
				agent := fmt.Sprintf("shop-app/1.%d", i)
				before := len(s.reached())
				got := s.do(t, agent, tt.method, tt.target, tt.account)
				if got.status != tt.status {
					t.Errorf("%s: %d, want %d", tt.what, got.status, tt.status)
				}
				challenge := got.header.Values("WWW-Authenticate")
				if want := tt.status == 401; want != (len(challenge) == 1 && challenge[0] == `Basic realm="restricted", charset="UTF-8"`) {
					t.Errorf("%s: challenge %q", tt.what, challenge)
				}
				reached := s.reached()[before:]
				var seen *http.Request
				switch {
				case tt.user == "-" && len(reached) != 0:
					t.Errorf("%s: reached the application", tt.what)
				case tt.user != "-" && len(reached) != 1:
					t.Errorf("%s: reached the application %d times", tt.what, len(reached))
				case tt.user != "-":
					seen = reached[0]
					for _, name := range []string{"Remote-User", "X-Forwarded-User"} {
						if user := strings.Join(seen.Header[name], ","); user != tt.user {
							t.Errorf("%s: %s is %q", tt.what, name, user)
						}
					}
					for field, values := range seen.Header {
						if said := strings.Join(values, ","); said == "" || strings.ContainsAny(said, "{}") {
							t.Errorf("%s: the application sees %s: %q", tt.what, field, said)
						}
					}
					if seen.Method != tt.method || seen.RequestURI != tt.target || !strings.HasPrefix(got.body, "application: ") {
						t.Errorf("%s: the application saw %s %s, the client %q", tt.what, seen.Method, seen.RequestURI, got.body)
					}
				}
				if tt.route == "" {
					continue
				}
				e := s.event(t, agent)
				path, _, _ := strings.Cut(tt.target, "?")
				if e.Method != tt.method || e.Path != path || e.Client != "127.0.0.1" || e.Route != tt.route || e.Reason != tt.reason {
					t.Errorf("%s: event %+v", tt.what, e)
				}
				if recorded := e.Status != 0; recorded == e.Elsewhere || recorded != (tt.user == "-") || recorded && e.Status != tt.status {
					t.Errorf("%s: status %d, elsewhere %v", tt.what, e.Status, e.Elsewhere)
				}
				if seen == nil {
					continue
				}
				// The application's spans continue the gateway's trace, and its request id is
				// the event's.
				if got := seen.Header.Get("Traceparent"); len(e.TraceID) != 32 || !strings.HasPrefix(got, "00-"+e.TraceID+"-") {
					t.Errorf("%s: traceparent %q, event of trace %q", tt.what, got, e.TraceID)
				}
				if got := seen.Header["X-Request-Id"]; !slices.Equal(got, e.RequestID) {
					t.Errorf("%s: request id %q, event of %q", tt.what, got, e.RequestID)
				}
			}
		})
	}
}

// The trace of a trusted caller continues through the gateway to the application.
func TestTraceContinues(t *testing.T) {
	t.Parallel()
	for name, start := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			const trace = "0af7651916cd43dd8448eb211c80319c"
			if got := s.do(t, "traced/1.0", "GET", "/orders", alice, "traceparent: 00-"+trace+"-b7ad6b7169203331-01", "baggage: who=root"); got.status != 200 {
				t.Fatal(got)
			}
			seen := s.reached()[0]
			if got := seen.Header["Traceparent"]; len(got) != 1 || !strings.HasPrefix(got[0], "00-"+trace+"-") || strings.Contains(got[0], "b7ad6b7169203331") {
				t.Errorf("traceparent %q", got)
			}
			if seen.Header["Baggage"] != nil {
				t.Errorf("baggage %q", seen.Header["Baggage"])
			}
			if e := s.event(t, "traced/1.0"); e.TraceID != trace {
				t.Errorf("event of trace %q", e.TraceID)
			}
		})
	}
}

// 429 and Retry-After reach the client, also through nginx, which accepts only 401 and 403.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for name, start := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for i := range throttle.DefaultLimits().NewPair.Burst {
				if got := s.do(t, "guesser", "GET", "/orders", fmt.Sprintf("alice:canary-%d", i)); got.status != 401 {
					t.Fatalf("guess %d: %d", i, got.status)
				}
			}
			got := s.do(t, "guesser-throttled", "GET", "/orders", alice)
			if got.status != 429 || len(got.header["Retry-After"]) != 1 || got.header.Get("Retry-After") == "0" {
				t.Errorf("%d %v", got.status, got.header)
			}
			if got.header.Get("Content-Type") != "application/problem+json" || got.header.Get("WWW-Authenticate") != "" {
				t.Errorf("%v", got.header)
			}
			e := s.event(t, "guesser-throttled")
			if !strings.Contains(got.body, e.TraceID) || !strings.Contains(got.body, `"status":429`) || len(e.TraceID) != 32 {
				t.Errorf("%s: event of trace %s, body %s", name, e.TraceID, got.body)
			}
			if e.Outcome != "throttled" || e.Status != 429 {
				t.Errorf("%+v", e)
			}
			if n := len(s.reached()); n != 0 {
				t.Errorf("%d reached the application", n)
			}
		})
	}
}

// Unusual paths and identity headers of the client open nothing, however the proxy reads them.
func TestEvasions(t *testing.T) {
	t.Parallel()
	for name, start := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for i, target := range []string{
				"/open/../admin/x", "/open/..%2fadmin/x", "/open/%2e%2e/admin/x", "/open/..;/admin/x", "//admin/x", "/open//admin/x",
				"/./admin/x", "/open/%2fadmin/x", "/admin%2fx", "/%61dmin/x", "/admin%5cx", "/open\\..\\admin/x", "/ADMIN/x", "/admin/x?/open/",
				"/admin/x#/open/", "http://shop.example/admin/x", "/admin/%2e/x", "/open/%00/../../admin/x", "/open/%c0%ae%c0%ae/admin/x", "/open/%252e%252e/admin/x",
			} {
				for _, account := range []string{"", alice} {
					before := len(s.reached())
					got := s.do(t, fmt.Sprintf("odd/%d", i), "GET", target, account)
					if got.status < 400 || got.status > 404 || len(s.reached()) != before {
						t.Errorf("%s as %.5q: %d, reached %d", target, account, got.status, len(s.reached())-before)
					}
				}
			}

			spoofed := []string{
				"Remote-User: root", "remote-user: root", "REMOTE_USER: root", "Remote_User: root", "X-Forwarded-User: root", "X_Forwarded_User: root",
				"X-Forwarded_User: root", "X-Auth-Status: 200", "X-Auth-User: root",
				"X-Original-URI: /open/x", "X-Original-Uri: /open/x", "X-Original-URL: /open/x", "X-Original-Method: OPTIONS", "X-Original-Host: x",
				"X-Forwarded-Uri: /open/x", "X-Forwarded-Method: OPTIONS", "X-Forwarded-Host: x", "X-Forwarded-Proto: http", "X-Forwarded-For: 198.51.100.9",
				"Forwarded: for=198.51.100.9;proto=http", "X-Rewrite-URL: /open/x", "X-HTTP-Method-Override: OPTIONS", "X-Real-IP: 198.51.100.9",
			}
			for _, name := range exactNames() {
				spoofed = append(spoofed, name+": root", strings.ReplaceAll(name, "-", "_")+": root")
			}
			for i, tt := range []struct {
				target, account string
				status          int
				user            string
			}{
				{"/admin/x", "", 401, "-"},
				{"/admin/x", wrong, 401, "-"},
				{"/admin/x", alice, 403, "-"},
				{"/orders", alice, 200, "alice"},
				{"/open/x", "", 200, ""},
				{"/open/x", wrong, 200, ""},
			} {
				agent := fmt.Sprintf("spoofer/%d", i)
				before := len(s.reached())
				got := s.do(t, agent, "GET", tt.target, tt.account, spoofed...)
				if got.status != tt.status {
					t.Errorf("%s as %.5q: %d, want %d", tt.target, tt.account, got.status, tt.status)
				}
				if tt.target != "/open/x" {
					if e := s.event(t, agent); e.Path != tt.target || e.Method != "GET" || e.Client != "127.0.0.1" {
						t.Errorf("%s: event %+v", tt.target, e)
					}
				}
				reached := s.reached()[before:]
				if tt.user == "-" {
					if len(reached) != 0 {
						t.Errorf("%s as %.5q reached the application", tt.target, tt.account)
					}
					continue
				}
				for _, r := range reached {
					if user := strings.Join(r.Header["Remote-User"], ","); user != tt.user {
						t.Errorf("%s as %.5q: Remote-User is %q", tt.target, tt.account, user)
					}
					for field, values := range r.Header {
						if said := strings.Join(values, ","); strings.Contains(said, "root") || strings.ContainsRune(field, '_') ||
							strings.Contains(said, "/open/x") || strings.Contains(said, "OPTIONS") || strings.Contains(said, "198.51.100.9") ||
							field == "X-Forwarded-For" && said != "127.0.0.1" {
							t.Errorf("%s as %.5q: the application sees %s: %s", tt.target, tt.account, field, said)
						}
					}
				}
			}

			// Two fields of Authorization, two Hosts.
			before := len(s.reached())
			second := "Authorization: Basic " + "Ym9iOmNhbmFyeS1ib2I="
			if got := s.do(t, "two", "GET", "/admin/x", alice, second); got.status < 400 {
				t.Errorf("two credentials: %d", got.status)
			}
			if got := s.do(t, "hosts", "GET", "/admin/x", alice, "Host: x"); got.status < 400 {
				t.Errorf("two hosts: %d", got.status)
			}
			if len(s.reached()) != before {
				t.Errorf("%s lets two credentials or hosts reach the application", name)
			}
		})
	}
}

// A client that names headers in Connection cannot remove those of the gateway or the proxy.
func TestConnectionRemovesNothing(t *testing.T) {
	t.Parallel()
	for name, start := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			const named = "Remote-User, X-Forwarded-User, Traceparent, Tracestate, X-Request-Id, X-Forwarded-For, X-Forwarded-Proto, " +
				"X-Forwarded-Host, X-Forwarded-Uri, X-Forwarded-Method, X-Original-Uri, X-Original-Method, Authorization, Host"
			for i, lines := range [][]string{
				{"Connection: " + named},
				{"Connection: " + strings.ToLower(named)},
				{"Connection: keep-alive", "Connection: Remote-User", "connection: x-forwarded-user,traceparent"},
				{"Connection: Upgrade, " + named, "Upgrade: websocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"},
				{"Connection: Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13"},
				{"Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"},
			} {
				if got := s.do(t, fmt.Sprintf("connection/%d", i), "GET", "/orders", alice, lines...); got.status != 200 {
					t.Fatalf("%q: %d", lines, got.status)
				}
				seen := s.reached()[i]
				for header, want := range map[string]string{
					"Remote-User": "alice", "X-Forwarded-User": "alice", "X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https",
				} {
					if got := strings.Join(seen.Header[header], ","); got != want {
						t.Errorf("%q: %s is %q", lines, header, got)
					}
				}
				for _, header := range []string{"Traceparent", "X-Request-Id", "X-Forwarded-Host"} {
					if seen.Header.Get(header) == "" {
						t.Errorf("%q: %s is gone", lines, header)
					}
				}
				upgrade := seen.Header.Get("Upgrade")
				if want := i == 3 || i == 4; want != strings.EqualFold(upgrade, "websocket") || !want && upgrade != "" ||
					want != strings.EqualFold(seen.Header.Get("Connection"), "upgrade") {
					t.Errorf("%q: Upgrade %q, Connection %q", lines, upgrade, seen.Header.Get("Connection"))
				}
			}
		})
	}
}

// No request passes while the gateway is down.
func TestGatewayGone(t *testing.T) {
	t.Parallel()
	for name, start := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			s.gateway.Stop()
			for _, target := range []string{"/orders", "/open/x"} {
				if got := s.do(t, "late", "GET", target, alice); got.status < 500 {
					t.Errorf("%s: %d", target, got.status)
				}
			}
			if n := len(s.reached()); n != 0 {
				t.Errorf("%d reached the application", n)
			}
		})
	}
}
