// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
)

const (
	foreignTrace  = "0af7651916cd43dd8448eb211c80319c"
	foreignParent = "00-" + foreignTrace + "-b7ad6b7169203331-01"
)

// A long Baggage field of a trusted caller is removed.
func TestLongBaggage(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{}, nil)
	for _, tc := range []struct {
		baggage string
		passes  bool
	}{
		{"tenant=theirs", true},
		{strings.Repeat("a=b,", 63) + "a=b", true},
		{strings.Repeat("a=b,", 64) + "a=b", false},
		{"a=" + strings.Repeat("b", 1022), true},
		{"a=" + strings.Repeat("b", 1023), false},
	} {
		r := s.request(t, "GET", "/x", "alice", "wonderland", nil)
		r.Header.Set("Baggage", tc.baggage)
		s.do(t, r)
		equal(t, fmt.Sprintf("%d bytes pass", len(tc.baggage)), s.last(t).Header.Get("Baggage") != "", tc.passes)
	}
}

// With a trusted caller one trace leads from the caller to the upstream. With an untrusted
// caller the gateway starts a new trace with a link, and no part of the caller's trace context
// passes.
func TestTraceContext(t *testing.T) {
	t.Parallel()
	for _, trusted := range []bool{true, false} {
		cfg := gateway.Config{}
		if !trusted {
			cfg.Auth.TrustedCallers = []netip.Prefix{}
		}
		s := newSite(t, cfg, nil)
		r := s.request(t, "GET", "/x", "alice", "wonderland", nil)
		r.Header.Set("Traceparent", foreignParent)
		r.Header.Set("Tracestate", "theirs=1")
		r.Header.Set("Baggage", "tenant=theirs")
		s.do(t, r)
		got := s.last(t).Header
		parts := strings.Split(got.Get("Traceparent"), "-")
		if len(parts) != 4 || len(got["Traceparent"]) != 1 {
			t.Fatalf("Traceparent: %q", got["Traceparent"])
		}
		equal(t, "the caller's trace continues", parts[1] == foreignTrace, trusted)
		equal(t, "the caller's state passes", got.Get("Tracestate") != "", trusted)
		equal(t, "the caller's baggage passes", got.Get("Baggage") != "", trusted)

		eventually(t, "event", func() bool { return len(s.attempts()) == 1 })
		equal(t, "trace of the event", s.attempts()[0].Record.TraceID().String(), parts[1])
		var client, server otelauthtest.Span
		eventually(t, "both spans", func() bool {
			for _, span := range s.Spans() {
				switch span.SpanKind {
				case trace.SpanKindClient:
					client = span
				case trace.SpanKindServer:
					server = span
				}
			}
			return client.SpanContext.IsValid() && server.SpanContext.IsValid()
		})
		equal(t, "the upstream's parent is the client span", parts[2], client.SpanContext.SpanID().String())
		equal(t, "its parent is the server span", client.Parent.SpanID().String(), server.SpanContext.SpanID().String())
		equal(t, "links", len(server.Links), map[bool]int{true: 0, false: 1}[trusted])
		equal(t, "server.address", server.Attribute("server.address"), "otelauth-gateway")
		equal(t, "http.route", server.Attribute("http.route"), "/")
	}
}

// Without a tracer the context of an untrusted caller does not pass either.
func TestTraceContextWithoutTelemetry(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*gateway.Config){
		"no-op":          func(c *gateway.Config) { c.Auth.TracerProvider = tracenoop.NewTracerProvider() },
		"uninstrumented": func(c *gateway.Config) { c.Uninstrumented = true },
	} {
		for _, trusted := range []bool{true, false} {
			upstream := &site{}
			server := httptest.NewServer(upstream.remember(nil))
			cfg := gateway.Config{Upstream: server.URL, Auth: otelauth.Config{Accounts: accounts(t)}}
			if !trusted {
				cfg.Auth.TrustedCallers = []netip.Prefix{}
			}
			change(&cfg)
			gw, err := gateway.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", nil)
			r.RemoteAddr = "127.0.0.1:4711"
			r.SetBasicAuth("alice", "wonderland")
			r.Header.Set("Traceparent", foreignParent)
			r.Header.Set("Tracestate", "theirs=1")
			r.Header.Set("Baggage", "tenant=theirs")
			w := httptest.NewRecorder()
			gw.ServeHTTP(w, r)
			equal(t, name+": status", w.Code, http.StatusOK)
			got := upstream.last(t).Header
			for _, field := range []string{"Traceparent", "Tracestate", "Baggage"} {
				equal(t, fmt.Sprintf("%s, trusted %v: %s passes", name, trusted, field), got.Get(field) != "", trusted)
			}
			_ = gw.Shutdown(t.Context())
			server.Close()
		}
	}
}

// A 401 or 403 from the upstream is recorded on the event of a successful attempt, and counted.
func TestUpstreamDenies(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Rules: siteRules}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(map[string]int{"/view": 401, "/other": 403}[r.URL.Path])
	}))
	for path, want := range map[string]int{"/view": 401, "/other": 403} {
		before := len(s.attempts())
		res, _ := s.get(t, path, "alice", "wonderland")
		equal(t, path, res.StatusCode, want)
		e := s.attempts()[before]
		equal(t, "outcome", e.Attribute("auth.outcome"), "success")
		equal(t, "status", e.Attribute("http.response.status_code"), fmt.Sprint(want))
	}
}

// A refusal by a rule of the gateway itself is WARN, names the rule, and is counted apart from the
// refusals of the upstream.
func TestRuleRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{
		Rules: []gateway.Rule{{Pattern: "/admin/", Groups: []string{"ops"}}},
	}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	for path, want := range map[string]struct{ severity, reason, rule, by string }{
		"/admin/x": {"WARN", "not_permitted", "/admin/", "rule"},
		"/other":   {"INFO", "", "", "service"},
	} {
		before := len(s.attempts())
		res, _ := s.get(t, path, "alice", "wonderland")
		equal(t, path, res.StatusCode, http.StatusForbidden)
		e := s.attempts()[before]
		equal(t, "severity", e.Severity().String(), want.severity)
		equal(t, "outcome", e.Attribute("auth.outcome"), "success")
		equal(t, "reason", e.Attribute("auth.reason"), want.reason)
		equal(t, "rule", e.Attribute("auth.rule"), want.rule)
		equal(t, "counted", s.Sum("auth.responses.denied", attribute.String("auth.response.denied_by", want.by)), 1.0)
	}
}

// No signal holds a password or a part of a query, and no answer holds a password.
func TestNothingSecretIsTold(t *testing.T) {
	t.Parallel()
	const query, wrong = "query-canary-Zq71", "wrong-canary-Xw32"
	s := newSite(t, gateway.Config{Rules: siteRules, PassAuthorization: []string{"/x", "/admin/", "/static/"}}, nil)
	secrets := []string{query, wrong, "wonderland"}
	for _, path := range []string{"/x", "/static/x", "/admin/x", "/a%2fb"} {
		for _, pass := range []string{"wonderland", wrong, ""} {
			r := s.request(t, "POST", path+"?token="+query, "alice", pass, strings.NewReader(query))
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			_, body := s.do(t, r)
			otelauthtest.NoSecretsIn(t, path, []byte(body), secrets...)
		}
	}
	s.raw(t, "GET /x?token="+query+" HTTP/9.9\r\nHost: h\r\n"+authorization("alice", "wonderland")+"\r\n")
	otelauthtest.NoSecrets(t, s.Recorder, secrets...)
}

// A public endpoint's answer to an anonymous caller is counted for its route; an answer to an
// account is an attempt.
func TestPublicEndpoints(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{Rules: siteRules}, nil)
	s.get(t, "/static/x", "", "")
	equal(t, "attempts", len(s.attempts()), 0)
	equal(t, "identity of an anonymous caller", s.last(t).Header["Remote-User"], []string(nil))
	s.get(t, "/static/x", "alice", "wonderland")
	equal(t, "attempts", len(s.attempts()), 1)
	equal(t, "identity", s.last(t).Header["Remote-User"], []string{"alice"})
	res, _ := s.get(t, "/static/x", "alice", "wrong")
	equal(t, "status with a wrong password", res.StatusCode, http.StatusOK)
	equal(t, "identity with a wrong password", s.last(t).Header["Remote-User"], []string(nil))
}
