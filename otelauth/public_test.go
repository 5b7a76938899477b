// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// siteMux has public endpoints, protected endpoints and a catch-all for every other path.
func siteMux() *http.ServeMux {
	mux := http.NewServeMux()
	served := func(w http.ResponseWriter, r *http.Request) {
		user, _ := otelauth.UserFromContext(r.Context())
		_, _ = io.WriteString(w, "served "+user.Name)
	}
	for _, p := range []string{"/{$}", "GET /healthz", "/static/", "/admin/", "/"} {
		mux.HandleFunc(p, served)
	}
	return mux
}

var public = []string{"GET /{$}", "GET /healthz", "/static/", "OPTIONS /"}

// siteServer starts a real server that passes "OPTIONS *" to its handler.
func siteServer(t *testing.T, s *service) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(s.handler)
	srv.Config.DisableGeneralOptionsHandler = true
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func TestPublic(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{Public: public}, siteMux())
	addr := siteServer(t, s)
	for _, line := range []string{
		"GET /", "GET /?q=1", "HEAD /", "GET /healthz", "HEAD /healthz", "GET /static/", "POST /static/a.css", "GET /static/a%20b/c",
		"GET /static/gr%C3%BC%C3%9Fe", "GET /static/100%25.pdf", "GET /static/What%3F.mp3", "GET /static/a!$&'()*+,=:@[1]", "GET http://h/healthz", "OPTIONS /", "OPTIONS /admin/x", "OPTIONS /orders",
	} {
		resp, body := exchangeRaw(t, "tcp", addr, line+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if resp.StatusCode != 200 || !strings.HasPrefix(line, "HEAD ") && body != "served " {
			t.Errorf("%s: %d %q", line, resp.StatusCode, body)
		}
	}
	if n := len(s.Attempts()); n != 0 {
		t.Errorf("%d attempts were recorded, want none for anonymous requests", n)
	}
	if n := s.Sum("auth.public.responses"); n != 16 {
		t.Errorf("auth.public.responses = %v", n)
	}
}

// None of these is served without credentials, however the mux, a proxy or the handler reads it.
func TestNeverPublic(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{Public: public}, siteMux())
	addr := siteServer(t, s)
	// Not listed, except for their preflight.
	plain := []string{"/admin/x", "/orders", "/healthz/", "/healthz/x", "/healthzx", "/static", "http://h/admin/x", "/Admin/x"}
	for _, target := range plain {
		for _, method := range []string{"GET", "POST", "CONNECT", "BREW"} {
			never(t, addr, method, target)
		}
	}
	targets := []string{
		// paths of the catch-all, and paths that another parser may read differently
		"/admin%2fx", "/admin%2Fx", "/%2e/admin/x", "/admin;/x", "//admin/x", "/./admin/x", "/admin/../orders",
		// paths with a public prefix
		"/static/../admin/x", "/static/./a", "/static//a", "/static/%2e%2e/admin/x", "/static/%2E%2E/admin/x", "/static/..%2fadmin/x",
		"/static/..%2Fadmin/x", "/static/..%5cadmin/x", "/static/%5c", "/static/\\..\\admin", "/static/a\\b", "/static/..;/admin/x",
		"/static/;x", "/static/%3b/admin", "/static/a;b=c", "/static/%252e%252e/admin/x", "/static/%2541", "/static/%00", "/static/a%00.css",
		"/static/%0d%0aX:1", "/static/%7f", "/static/%ff", "/static/%c0%af", "/static/%c0%ae%c0%ae/admin", "/static/%2e",
		"/static/a/.", "/static/a/..", "/static/a%2fb", "//static/a", "/static/%e0%80%af", "http://h/static/../admin/x", "http://h//static/a",
		// paths that differ from the public one for routers that compare the encoded path
		"/%68ealthz", "/heal%74hz", "/%73tatic/x", "/static/%7Eu", "/static/x.php/y", "/static/a%EF%BC%8Fb", "/static/a%3Bb",
		// paths with the prefix of the health check
		"//healthz", "/./healthz", "/%2e/healthz", "/healthz;x", "/healthz%2f", "/healthz%00", "/x/../healthz", "/healthz%3b",
	}
	for _, target := range targets {
		for _, method := range []string{"GET", "POST", "CONNECT", "BREW", "OPTIONS"} {
			never(t, addr, method, target)
		}
	}
	never(t, addr, "OPTIONS", "*")
	never(t, addr, "CONNECT", "h:443")
	never(t, addr, "POST", "/healthz")
	never(t, addr, "POST", "/")
}

func never(t *testing.T, addr, method, target string) {
	t.Helper()
	resp, body := exchangeRaw(t, "tcp", addr, method+" "+target+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		if resp.Header.Get("Www-Authenticate") == "" {
			t.Errorf("%s %s: 401 without a challenge", method, target)
		}
	case http.StatusBadRequest: // from net/http, before any handler
		if resp.Header.Get("Content-Type") == "application/problem+json" {
			t.Errorf("%s %s: %d %q", method, target, resp.StatusCode, body)
		}
	default:
		t.Errorf("%s %s: %d %q", method, target, resp.StatusCode, body)
	}
}

// The same paths are served with credentials: they are protected, not refused.
func TestOddPathsAreServedToUsers(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{Public: public}, siteMux())
	addr := siteServer(t, s)
	for _, target := range []string{"/admin%2fx", "/Admin/x", "/admin;/x", "/static/a%2fb", "/static/%00"} {
		resp, body := exchangeRaw(t, "tcp", addr, "GET "+target+" HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: "+
			token("alice:wonderland")+"\r\n\r\n")
		if resp.StatusCode != 200 || body != "served alice" {
			t.Errorf("%s: %d %q", target, resp.StatusCode, body)
		}
	}
}

// Credentials for a public endpoint are verified and recorded; wrong ones make the caller
// anonymous.
func TestPublicWithCredentials(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		request   func(*http.Request)
		cfg       otelauth.Config
		body      string
		outcome   attempt.Outcome
		errorType attempt.ErrorType
	}{
		{name: "right", request: basic("alice", "wonderland"), body: "served alice", outcome: attempt.Success},
		{name: "wrong", request: basic("alice", "looking-glass"), body: "served ", outcome: attempt.Failure, errorType: attempt.InvalidCredentials},
		{name: "unknown", request: basic("mallory", "looking-glass"), body: "served ", outcome: attempt.Failure, errorType: attempt.InvalidCredentials},
		{name: "malformed", request: authorization("Basic !"), body: "served ", outcome: attempt.Malformed, errorType: attempt.MalformedCredentials},
		{
			name: "in plaintext", request: fromPlaintext(basic("alice", "wonderland")), body: "served ",
			outcome: attempt.Failure, errorType: attempt.InsecureTransport,
		},
		{
			name: "throttled", request: basic("alice", "wonderland"), body: "served ", outcome: attempt.Throttled, errorType: attempt.RateLimited,
			cfg: otelauth.Config{Throttle: scripted{}},
		},
		{
			name: "charged", request: basic("alice", "wonderland"), body: "served alice", outcome: attempt.Success,
			cfg: otelauth.Config{Throttle: scripted{decision: throttle.Decision{Verdict: throttle.Granted}}},
		},
		{
			name: "store down", request: basic("alice", "wonderland"), body: "served ", outcome: attempt.Error,
			errorType: attempt.AccountsUnavailable, cfg: otelauth.Config{Accounts: down{accounts(t)}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.cfg.Public = public
			s := newService(t, tc.cfg, siteMux())
			r := request(t, "GET", "/static/a", "", "")
			tc.request(r)
			if w := s.do(r); w.Code != 200 || w.Body.String() != tc.body {
				t.Errorf("%d %q, want %q", w.Code, w.Body, tc.body)
			}
			if got := s.last(t); got.Outcome != tc.outcome || got.ErrorType != tc.errorType || got.Status != 200 || got.Route != "/static/" {
				t.Errorf("recorded %+v", got)
			}
			if n := s.Sum("auth.public.responses"); n != 0 {
				t.Errorf("auth.public.responses = %v for an attempt", n)
			}
		})
	}
}

func TestPublicResponses(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	for path, status := range map[string]int{"/ok": 200, "/gone": 410, "/unauthorized": 401, "/forbidden": 403} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	s := newService(t, otelauth.Config{Public: []string{"GET /ok", "GET /gone", "GET /unauthorized", "GET /forbidden"}}, mux)
	for path, status := range map[string]int64{"/ok": 200, "/gone": 410, "/unauthorized": 401, "/forbidden": 403} {
		for _, header := range []string{"", "Bearer abc"} { // the handler verifies a token
			r := request(t, "GET", path, "", "")
			if header != "" {
				r.Header.Set("Authorization", header)
			}
			if w := s.do(r); int64(w.Code) != status {
				t.Errorf("%s: %d", path, w.Code)
			}
		}
		if n := s.Sum("auth.public.responses", attribute.String("http.route", path), attribute.Int64("http.response.status_code", status)); n != 2 {
			t.Errorf("%s: auth.public.responses = %v", path, n)
		}
		events := 0
		for _, e := range s.eventsNamed(semconv.EventPublicResponse) {
			if e.Attribute("http.route") == path {
				events++
				if e.Attribute("http.response.status_code") != map[int64]string{401: "401", 403: "403"}[status] || e.Attribute("client.address") != "127.0.0.1" {
					t.Errorf("event %v", e.Attributes())
				}
				if s.serverSpan(t, e.TraceID()).SpanContext.SpanID() != e.SpanID() {
					t.Error("the event does not belong to the server span")
				}
			}
		}
		if want := map[int64]int{401: 2, 403: 2}[status]; events != want {
			t.Errorf("%s: %d events, want %d", path, events, want)
		}
	}
	if n := len(s.Attempts()) + int(s.Sum("auth.attempts")+s.Sum("auth.responses.denied")); n != 0 {
		t.Errorf("%d attempts", n)
	}
}

// Only preflight can open the whole tree.
func TestPublicRefusesTheTree(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"/", "GET /", "POST /", "h.example/", "GET h.example/", "/{path...}", "GET /{path...}", "/{a}/", "GET /{a}/{b...}", "h.example/{a}/{b}/"} {
		_, err := otelauth.New(otelauth.Config{Accounts: accounts(t), Public: []string{pattern}})
		if err == nil || !strings.Contains(err.Error(), "opens every path") || !strings.Contains(err.Error(), "/{$}") {
			t.Errorf("Public %q: %v", pattern, err)
		}
	}
	for _, pattern := range []string{"GET /{$}", "/{one}", "/{a}/static/", "/{a}/{b}", "OPTIONS /", "OPTIONS /{path...}", "/static/{path...}", "OPTIONS h.example/"} {
		if _, err := otelauth.New(otelauth.Config{Accounts: accounts(t), Public: []string{pattern}}); err != nil {
			t.Errorf("Public %q: %v", pattern, err)
		}
	}
	if _, err := otelauth.New(otelauth.Config{Accounts: accounts(t), Sensitive: []string{"/"}}); err != nil {
		t.Errorf("Sensitive: %v", err)
	}
}

// Public is a set: patterns that conflict in a mux may both be in it.
func TestPublicPatternsThatOverlap(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{Public: []string{"/static/", "OPTIONS /", "GET /{x}/y", "/z/{x}", "/static/"}}, siteMux())
	for line, status := range map[string]int{
		"GET /static/x": 200, "OPTIONS /orders": 200, "GET /a/y": 200, "GET /z/y": 200, "POST /z/y": 200, "POST /a/y": 401, "GET /a/z": 401,
	} {
		method, target, _ := strings.Cut(line, " ")
		if w := s.do(request(t, method, target, "", "")); w.Code != status {
			t.Errorf("%s: %d, want %d", line, w.Code, status)
		}
	}
}

// A pattern does not open a more specific route, which is a separate endpoint.
func TestPublicDoesNotOpenMoreSpecificRoutes(t *testing.T) {
	t.Parallel()
	served := func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Pattern) }
	mux := http.NewServeMux()
	for _, p := range []string{"GET /u/{id}", "GET /u/me", "/health", "admin.example/health", "/static/", "GET /static/{file}", "GET /static/keys/", "/open/", "GET /open/a", "/"} {
		mux.HandleFunc(p, served)
	}
	public := []string{"GET /u/{id}", "/health", "/static/", "/open/", "/open/a", "OPTIONS /", "/favicon.ico"}
	inside := newService(t, otelauth.Config{Public: public, Routes: mux}, mux)
	outer := http.NewServeMux()
	outside := newService(t, otelauth.Config{Public: public}, outer)
	outer.Handle("/u/me", outside.mw.Wrap(http.HandlerFunc(served)))
	outer.Handle("/u/{id}", outside.mw.Wrap(http.HandlerFunc(served)))
	for _, tc := range []struct {
		s              *service
		method, target string
		want           int
	}{
		{inside, "GET", "/u/7", 200},
		{inside, "GET", "/u/me", 401},
		{inside, "GET", "/health", 200},
		{inside, "GET", "http://admin.example/health", 401},
		{inside, "GET", "/static/x", 200}, // a wildcard route is not more specific than the pattern
		{inside, "GET", "/static/a/b", 200},
		{inside, "GET", "/static/keys/x", 401},
		{inside, "GET", "/open/a", 200},      // listed itself
		{inside, "GET", "/favicon.ico", 200}, // the less specific catch-all serves it
		{inside, "OPTIONS", "/u/me", 200},
	} {
		if w := tc.s.do(request(t, tc.method, tc.target, "", "")); w.Code != tc.want {
			t.Errorf("%s %s: %d %q, want %d", tc.method, tc.target, w.Code, w.Body, tc.want)
		}
	}
	for target, want := range map[string]int{"/u/7": 200, "/u/me": 401} {
		w := httptest.NewRecorder()
		outer.ServeHTTP(w, request(t, "GET", target, "", ""))
		if w.Code != want {
			t.Errorf("a mux outside: %s: %d, want %d", target, w.Code, want)
		}
	}
}
