// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

const (
	foreignTrace = "0af7651916cd43dd8448eb211c80319c"
	foreignSpan  = "b7ad6b7169203331"
)

// Invariant 5: a traceparent of an untrusted client becomes a link. It cannot disable sampling or
// join another trace. A traceparent of a trusted client is continued.
func TestTraceparent(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		cfg     otelauth.Config
		peer    string
		header  []string
		obeyed  bool
		outside bool
	}{
		{name: "loopback", peer: "127.0.0.1:1", obeyed: true},
		{name: "a private network", peer: "10.1.2.3:1", obeyed: true},
		{name: "outside", peer: "192.0.2.7:1"},
		{name: "outside over IPv6", peer: "[2001:db8::1]:1"},
		{name: "outside, through our proxy", peer: "10.1.2.3:1", cfg: otelauth.Config{TrustedProxies: prefixes("10.0.0.0/8")}, header: []string{"X-Forwarded-For", "192.0.2.7"}},
		{name: "outside, with a claim", peer: "192.0.2.7:1", header: []string{"X-Forwarded-For", "10.1.2.3"}},
		{
			name: "outside, with a claim, through our proxy", peer: "10.1.2.3:1", cfg: otelauth.Config{TrustedProxies: prefixes("10.0.0.0/8")},
			header: []string{"X-Forwarded-For", "127.0.0.1, 192.0.2.7"},
		},
		{name: "named callers", peer: "192.0.2.7:1", cfg: otelauth.Config{TrustedCallers: prefixes("192.0.2.0/24")}, obeyed: true},
		{name: "not among the named callers", peer: "127.0.0.1:1", cfg: otelauth.Config{TrustedCallers: prefixes("192.0.2.0/24")}},
		{name: "no caller is trusted", peer: "127.0.0.1:1", cfg: otelauth.Config{TrustedCallers: []netip.Prefix{}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, flags := range []string{"01", "00"} {
				exported := tracetest.NewInMemoryExporter()
				// The SDK's default sampler, which follows every parent.
				traces := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())), sdktrace.WithSyncer(exported))
				s := newService(t, tc.cfg, nil)
				tc.cfg.Accounts, tc.cfg.TracerProvider, tc.cfg.LoggerProvider = accounts(t), traces, s.LoggerProvider()
				tc.cfg.MeterProvider = s.MeterProvider()
				mw := newMiddleware(t, tc.cfg)
				s.handler = otelhttp.NewHandler(mw.Wrap(ordersMux()), "orders", otelhttp.WithTracerProvider(traces),
					otelhttp.WithMeterProvider(s.MeterProvider()), otelhttp.WithPropagators(propagation.TraceContext{}),
					otelhttp.WithPublicEndpointFn(mw.Untrusted))

				r := request(t, "GET", "/orders", "mallory", "looking-glass")
				r.RemoteAddr = tc.peer
				r.Header.Set("Traceparent", "00-"+foreignTrace+"-"+foreignSpan+"-"+flags)
				for i := 0; i < len(tc.header); i += 2 {
					r.Header.Set(tc.header[i], tc.header[i+1])
				}
				s.do(r)

				spans := exported.GetSpans()
				attempts := s.eventsNamed(semconv.EventAttempt)
				if len(attempts) != 1 {
					t.Fatalf("%d events", len(attempts))
				}
				inside := attempts[0].TraceID().String() == foreignTrace
				if inside != tc.obeyed {
					t.Errorf("flags %s: in the caller's trace: %v", flags, inside)
				}
				switch {
				case tc.obeyed && flags == "00":
					if len(spans) != 0 {
						t.Errorf("flags %s: %d spans are sampled", flags, len(spans))
					}
				case len(spans) < 2:
					t.Errorf("flags %s: %d spans are sampled", flags, len(spans))
				}
				linked := false
				for _, span := range spans {
					if (span.SpanContext.TraceID().String() == foreignTrace) != tc.obeyed {
						t.Errorf("flags %s: span %q is in trace %s", flags, span.Name, span.SpanContext.TraceID())
					}
					for _, link := range span.Links {
						linked = linked || link.SpanContext.TraceID().String() == foreignTrace
					}
				}
				if linked == tc.obeyed {
					t.Errorf("flags %s: linked %v", flags, linked)
				}
			}
		})
	}
}

func TestUntrustedZeroMiddleware(t *testing.T) {
	t.Parallel()
	if !new(otelauth.Middleware).Untrusted(request(t, "GET", "/", "", "")) {
		t.Error("the zero Middleware trusts a client")
	}
}

// Without otelhttp a traceparent is ignored: the attempt has a trace of its own.
func TestTraceparentWithoutServerSpan(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, nil)
	r := request(t, "GET", "/orders", "alice", "wonderland")
	r.Header.Set("Traceparent", "00-"+foreignTrace+"-"+foreignSpan+"-00")
	s.mw.Authenticate(r)
	if got := s.last(t); !got.TraceID.IsValid() || got.TraceID.String() == foreignTrace {
		t.Errorf("recorded in trace %s", got.TraceID)
	}
}

// The headers of an unknown proxy are ignored and reported once.
func TestForwardedByUntrusted(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{Public: []string{"GET /healthz"}}, nil)
	for _, header := range []string{"X-Forwarded-For", "Forwarded"} {
		for _, target := range []string{"/orders", "/healthz"} {
			r := request(t, "GET", target, "", "")
			r.RemoteAddr = "198.51.100.9:4711"
			r.Header.Set(header, map[string]string{"Forwarded": "for=192.0.2.66"}[header])
			if header == "X-Forwarded-For" {
				r.Header.Set(header, "192.0.2.66, 192.0.2.67")
			}
			s.do(r)
		}
	}
	notices := s.eventsNamed(string(attempt.UntrustedForwarded))
	if len(notices) != 1 {
		t.Fatalf("%d notices", len(notices))
	}
	rec := notices[0].Record
	if body := rec.Body().String(); !strings.Contains(body, "198.51.100.9") || !strings.Contains(body, "add it to the trusted proxies") || strings.Contains(body, "192.0.2.66") {
		t.Errorf("notice %q", body)
	}
	for _, a := range s.Attempts() {
		if a.Client != netip.MustParseAddr("198.51.100.9") {
			t.Errorf("client %v", a.Client)
		}
	}
	servers := 0
	for _, span := range s.Spans() {
		if span.SpanKind == trace.SpanKindServer {
			servers++
		}
		if span.Attribute("client.address") != "198.51.100.9" || span.Attribute("http.route") == "" {
			t.Errorf("span %q of %q, client %q", span.Name, span.Attribute("http.route"), span.Attribute("client.address"))
		}
	}
	if servers != 4 {
		t.Errorf("%d server spans", servers)
	}
}

// Behind a trusted proxy every signal has the right-most address that is not a trusted proxy.
func TestForwardedByTrusted(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{TrustedProxies: prefixes("10.0.0.0/8"), Public: []string{"GET /healthz"}}, nil)
	for _, target := range []string{"/orders", "/healthz"} {
		r := request(t, "GET", target, "", "")
		r.RemoteAddr = "10.0.0.1:4711"
		r.Header = http.Header{
			"X-Forwarded-For": {"6.6.6.6, 192.0.2.7", "10.0.0.2"}, "X-Forwarded-Proto": {"https"},
		}
		s.do(r)
	}
	for _, span := range s.Spans() {
		if span.Attribute("client.address") != "192.0.2.7" {
			t.Errorf("span %q: client %q", span.Name, span.Attribute("client.address"))
		}
	}
	e := s.eventsNamed(semconv.EventAttempt)[0]
	if e.Attribute("client.address") != "192.0.2.7" || e.Attribute("network.peer.address") != "10.0.0.1" || e.Attributes().Has("client.port") {
		t.Errorf("event %v", e.Attributes())
	}
	if n := len(s.eventsNamed(string(attempt.UntrustedForwarded))); n != 0 {
		t.Errorf("%d notices", n)
	}
}

// A client cannot forge a log line through its headers or its path.
func TestForgedText(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, nil)
	r := request(t, "GET", "/orders", "", "")
	r.Header["User-Agent"] = []string{"a\nlevel=INFO forged\x1b[2J\u202e" + string(make([]byte, 4096))}
	r.URL.Path = "/orders\n\xff"
	s.do(r)
	e := s.eventsNamed(semconv.EventAttempt)[0]
	if ua := e.Attribute("user_agent.original"); len(ua) > attempt.MaxUserAgentBytes || strings.ContainsAny(ua, "\n\x1b\x00\u202e") {
		t.Errorf("user agent %q", ua)
	}
	if p := e.Attribute("url.path"); strings.Contains(p, "\n") || !utf8.ValidString(p) {
		t.Errorf("path %q", p)
	}
}
