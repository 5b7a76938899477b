// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
	"github.com/otelauth/otelauth-go/internal/otlpreceiver/otlpserver"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

const (
	rightPassword = "looking-glass-7f3a"
	wrongPassword = "jabberwocky-91bc"
)

// service is how the service under test is built. Each field plants one kind of gap; the zero
// service has none.
type service struct {
	configure  func(*otelauth.Config)
	logs       func(sdklog.Exporter) sdklog.Exporter
	spans      func(sdktrace.SpanExporter) sdktrace.SpanExporter
	metrics    func(sdkmetric.Exporter) sdkmetric.Exporter
	delta      bool
	isTrusting bool   // continues the trace of the caller
	untouched  string // a prefix of paths that the middleware does not see
	sampler    sdktrace.Sampler
	token      string // the only header with a token that requests have; "": all three
}

// rig is a service with the real middleware and the real exporters, a real receiver and a ledger.
type rig struct {
	t        *testing.T
	ledger   *evidence.Ledger
	receiver *otlpreceiver.Receiver
	url      string
	traces   *sdktrace.TracerProvider
	meters   *sdkmetric.MeterProvider
	loggers  *sdklog.LoggerProvider
	mw       *otelauth.Middleware
	mux      *http.ServeMux
	random   *rand.Rand
	sent     int
	token    string
}

// newRig starts a receiver on TCP and a service that exports to it.
func newRig(t *testing.T, s service, cfg evidence.Config) *rig {
	t.Helper()
	cfg.Secrets = []string{rightPassword, wrongPassword}
	ledger, err := evidence.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, ledger: ledger, random: rand.New(rand.NewPCG(1, 2)), token: s.token}
	r.receiver = otlpreceiver.New(otlpreceiver.Config{Sink: ledger.Export})
	server, err := otlpserver.Listen(t.Context(), otlpserver.Config{Receiver: r.receiver, HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	r.providers(s, "http://"+server.HTTP)
	r.serve(s)
	return r
}

// providers are those of the SDK, with the gaps of s in their exporters.
func (r *rig) providers(s service, endpoint string) {
	ctx := r.t.Context()
	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint+"/v1/traces"))
	if err != nil {
		r.t.Fatal(err)
	}
	temporality := sdkmetric.DefaultTemporalitySelector
	if s.delta {
		temporality = func(sdkmetric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality }
	}
	points, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(endpoint+"/v1/metrics"), otlpmetrichttp.WithTemporalitySelector(temporality))
	if err != nil {
		r.t.Fatal(err)
	}
	logs, err := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(endpoint+"/v1/logs"), otlploghttp.WithCompression(otlploghttp.GzipCompression))
	if err != nil {
		r.t.Fatal(err)
	}
	spanExporter, metricExporter, logExporter := sdktrace.SpanExporter(spans), sdkmetric.Exporter(points), sdklog.Exporter(logs)
	if s.spans != nil {
		spanExporter = s.spans(spanExporter)
	}
	if s.metrics != nil {
		metricExporter = s.metrics(metricExporter)
	}
	if s.logs != nil {
		logExporter = s.logs(logExporter)
	}
	sampler := s.sampler
	if sampler == nil {
		sampler = sdktrace.AlwaysSample()
	}
	r.traces = sdktrace.NewTracerProvider(sdktrace.WithBatcher(spanExporter), sdktrace.WithSampler(sampler))
	r.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metricExporter, sdkmetric.WithInterval(time.Hour))))
	r.loggers = sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(logExporter)))
	r.t.Cleanup(func() {
		ctx := context.Background()
		_ = r.mw.Close()
		_ = r.traces.Shutdown(ctx)
		_ = r.meters.Shutdown(ctx)
		_ = r.loggers.Shutdown(ctx)
	})
}

// serve starts the service.
func (r *rig) serve(s service) {
	ok := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }
	r.mux = http.NewServeMux()
	for _, pattern := range []string{"GET /orders/{id}", "GET /reports", "POST /admin", "GET /healthz"} {
		r.mux.HandleFunc(pattern, ok)
	}
	cfg := otelauth.Config{
		Accounts:       &verify.Static{Hashes: map[string]string{"alice": rightHash()}},
		Routes:         r.mux,
		Public:         []string{"GET /healthz"},
		TracerProvider: r.traces, MeterProvider: r.meters, LoggerProvider: r.loggers,
		RequestID:      func(req *http.Request) string { return req.Header.Get("X-Request-Id") },
		TrustedCallers: []netip.Prefix{},
		Events:         audit.Events{DangerouslyUnfolded: true},
	}
	if s.isTrusting {
		cfg.TrustedCallers = nil
	}
	if s.configure != nil {
		s.configure(&cfg)
	}
	var err error
	if r.mw, err = otelauth.New(cfg); err != nil {
		r.t.Fatal(err)
	}
	handler := r.mw.Wrap(r.mux)
	if s.untouched != "" { // an endpoint that was forgotten
		protected := handler
		handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if strings.HasPrefix(req.URL.Path, s.untouched) {
				http.Error(w, "no", http.StatusUnauthorized)
				return
			}
			protected.ServeHTTP(w, req)
		})
	}
	server := httptest.NewServer(otelhttp.NewHandler(handler, "service", otelhttp.WithTracerProvider(r.traces), otelhttp.WithMeterProvider(r.meters),
		otelhttp.WithPropagators(propagation.TraceContext{}), otelhttp.WithPublicEndpointFn(r.mw.Untrusted)))
	r.t.Cleanup(server.Close)
	r.url = server.URL
}

// attempt is one request of the run.
type attempt struct {
	method, path, route string
	user, password      string
	header              string // instead of user and password
	want                evidence.Expectation
}

// attempts returns the attempts of a run: each kind on each endpoint.
func attempts() []attempt {
	var all []attempt
	for _, e := range []struct{ method, path, route string }{
		{"GET", "/orders/7", "/orders/{id}"}, {"GET", "/reports", "/reports"}, {"POST", "/admin", "/admin"},
	} {
		for _, a := range []attempt{
			{want: evidence.Expectation{Outcomes: []string{"missing"}}},
			{user: "alice", password: wrongPassword, want: evidence.Expectation{Outcomes: []string{"failure"}, User: "alice", Account: true}},
			{user: "nobody", password: wrongPassword, want: evidence.Expectation{Outcomes: []string{"failure"}, User: "nobody"}},
			{header: "Basic ???", want: evidence.Expectation{Outcomes: []string{"malformed"}}},
			{user: "alice", password: rightPassword, want: evidence.Expectation{Outcomes: []string{"success"}, User: "alice", Account: true}},
		} {
			a.method, a.path, a.route = e.method, e.path, e.route
			all = append(all, a)
		}
	}
	return append(all, attempt{method: "GET", path: "/healthz"}) // public: not an attempt
}

// id returns the ID of an attempt of the list.
func id(i int) string { return fmt.Sprintf("attempt-%d", i) }

// send sends one attempt with its tokens.
func (r *rig) send(a attempt) {
	r.t.Helper()
	r.sent++
	x := a.want
	x.ID, x.Method, x.Path, x.Route = id(r.sent-1), a.method, a.path, a.route
	x.Client = netip.MustParseAddr("127.0.0.1")
	trace, span := make([]byte, 16), make([]byte, 8)
	for i := range trace {
		trace[i] = byte(r.random.Uint32())
	}
	span[0], trace[0] = 1, 1
	x.TraceID = hex.EncodeToString(trace)
	x.RequestID, x.AgentToken = "request-"+x.TraceID[:12], "probe-"+x.TraceID[12:24]
	x.Sent = time.Now()
	if r.token != "" {
		x.TraceID = only(r.token == "Traceparent", x.TraceID)
		x.RequestID = only(r.token == "X-Request-Id", x.RequestID)
		x.AgentToken = only(r.token == "User-Agent", x.AgentToken)
	}
	if err := r.ledger.Expect(x); err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), a.method, r.url+a.path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Traceparent", "00-"+x.TraceID+"-"+hex.EncodeToString(span)+"-01")
	req.Header.Set("X-Request-Id", x.RequestID)
	req.Header.Set("User-Agent", "evidence-test/1 ("+x.AgentToken+")")
	for _, name := range []string{"Traceparent", "X-Request-Id", "User-Agent"} {
		if r.token != "" && r.token != name {
			req.Header.Set(name, "")
		}
	}
	if a.user != "" {
		req.SetBasicAuth(a.user, a.password)
	} else if a.header != "" {
		req.Header.Set("Authorization", a.header)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = resp.Body.Close()
	if err := r.ledger.Answered(x.ID, evidence.Answer{Status: resp.StatusCode, Time: time.Now()}); err != nil {
		r.t.Fatal(err)
	}
}

func only(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

// run sends the attempts and returns the judgement on them.
func (r *rig) run(all []attempt) evidence.Report {
	r.t.Helper()
	r.flush() // the counters before the run
	for _, a := range all {
		r.send(a)
	}
	_ = r.mw.Close() // emits folds
	r.flush()
	r.flush()
	return r.ledger.Judge()
}

func (r *rig) flush() {
	r.t.Helper()
	ctx := r.t.Context()
	for _, flush := range []func(context.Context) error{r.traces.ForceFlush, r.loggers.ForceFlush, r.meters.ForceFlush} {
		if err := flush(ctx); err != nil {
			r.t.Fatal(err)
		}
	}
}

// rightHash is a cheap hash of the right password.
var rightHash = sync.OnceValue(func() string {
	hash, err := bcrypt.GenerateFromPassword([]byte(rightPassword), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(hash)
})
