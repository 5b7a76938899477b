// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// victim is the attempt that most gaps are planted at: a wrong password of alice at /orders/7.
// stranger is one of an unknown user.
const (
	victim   = 1
	stranger = 2
	lucky    = 4 // the right password
)

// gap is a planted flaw of the telemetry and what must be found: exactly these attempts, and
// findings about the run, with their verdict and field.
type gap struct {
	name     string
	service  service
	cfg      evidence.Config
	attempts map[int]evidence.Verdict
	run      []evidence.Verdict // of the run, sorted
	field    string             // of the first finding
}

// onRecord returns a faulty exporter that changes the event of one attempt. change returns the
// records that are exported instead.
func onRecord(n int, change func(r sdklog.Record) []sdklog.Record) func(sdklog.Exporter) sdklog.Exporter {
	return func(next sdklog.Exporter) sdklog.Exporter { return &faultyLogs{Exporter: next, n: n, change: change} }
}

type faultyLogs struct {
	sdklog.Exporter
	n      int
	change func(sdklog.Record) []sdklog.Record

	mu   sync.Mutex
	seen int
}

func (f *faultyLogs) Export(ctx context.Context, records []sdklog.Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []sdklog.Record
	for _, r := range records {
		r := r.Clone()
		if r.EventName() != semconv.EventAttempt {
			out = append(out, r)
			continue
		}
		if f.n < 0 || f.seen == f.n {
			out = append(out, f.change(r)...)
		} else {
			out = append(out, r)
		}
		f.seen++
	}
	return f.Exporter.Export(ctx, out)
}

// set returns a change that sets an attribute, or removes it if value is "".
func set(key, value string) func(sdklog.Record) []sdklog.Record {
	return func(r sdklog.Record) []sdklog.Record {
		var all []attribute.KeyValue
		r.WalkAttributes(func(kv attribute.KeyValue) bool {
			if string(kv.Key) != key {
				all = append(all, kv)
			}
			return true
		})
		if value != "" {
			all = append(all, attribute.String(key, value))
		}
		r.SetAttributes(all...)
		return []sdklog.Record{r}
	}
}

// onSpans returns a faulty exporter that changes the spans with auth.outcome of the victim.
func onSpans(change func(s *tracetest.SpanStub) bool) func(sdktrace.SpanExporter) sdktrace.SpanExporter {
	return func(next sdktrace.SpanExporter) sdktrace.SpanExporter {
		return &faultySpans{SpanExporter: next, n: victim, change: change}
	}
}

type faultySpans struct {
	sdktrace.SpanExporter
	n      int
	change func(*tracetest.SpanStub) bool // false: the span is lost

	mu     sync.Mutex
	traces []trace.TraceID
}

func (f *faultySpans) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []sdktrace.ReadOnlySpan
	for _, s := range spans {
		stub := tracetest.SpanStubFromReadOnlySpan(s)
		isAuth := slices.ContainsFunc(stub.Attributes, func(kv attribute.KeyValue) bool { return kv.Key == semconv.KeyOutcome })
		id := stub.SpanContext.TraceID()
		if isAuth && !slices.Contains(f.traces, id) {
			f.traces = append(f.traces, id)
		}
		if isAuth && slices.Index(f.traces, id) == f.n && !f.change(&stub) {
			continue
		}
		out = append(out, stub.Snapshot())
	}
	return f.SpanExporter.ExportSpans(ctx, out)
}

// onPoints returns a faulty exporter that changes the points of auth.attempts.
func onPoints(change func(p *metricdata.DataPoint[int64]) bool) func(sdkmetric.Exporter) sdkmetric.Exporter {
	return func(next sdkmetric.Exporter) sdkmetric.Exporter { return &faultyPoints{Exporter: next, change: change} }
}

type faultyPoints struct {
	sdkmetric.Exporter
	change func(*metricdata.DataPoint[int64]) bool // false: the point is lost
}

func (f *faultyPoints) Export(ctx context.Context, rm *metricdata.ResourceMetrics) error {
	for i := range rm.ScopeMetrics {
		for j := range rm.ScopeMetrics[i].Metrics {
			m := &rm.ScopeMetrics[i].Metrics[j]
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok || m.Name != semconv.MetricAttempts {
				continue
			}
			points := slices.Clone(sum.DataPoints)
			sum.DataPoints = nil
			for _, p := range points {
				if f.change(&p) {
					sum.DataPoints = append(sum.DataPoints, p)
				}
			}
			m.Data = sum
		}
	}
	return f.Exporter.Export(ctx, rm)
}

// isSeries reports whether a point is that of a route and an outcome.
func isSeries(p *metricdata.DataPoint[int64], route, outcome string) bool {
	r, _ := p.Attributes.Value(semconv.KeyHTTPRoute)
	o, _ := p.Attributes.Value(semconv.KeyOutcome)
	return r.AsString() == route && o.AsString() == outcome
}

var otherTrace = trace.TraceID{0xbe, 0xef, 1}

func gaps() []gap {
	return slices.Concat(eventGaps(), attributeGaps(), spanGaps(), metricGaps(), secretGaps(), serviceGaps())
}

func eventGaps() []gap {
	at := func(v evidence.Verdict) map[int]evidence.Verdict { return map[int]evidence.Verdict{victim: v} }
	return []gap{
		{
			name: "missing event", attempts: at(evidence.Missing),
			service: service{logs: onRecord(victim, func(sdklog.Record) []sdklog.Record { return nil })},
		},
		{
			name: "double event", attempts: at(evidence.Duplicate),
			service: service{logs: onRecord(victim, func(r sdklog.Record) []sdklog.Record { return []sdklog.Record{r, r.Clone()} })},
		},
		{
			name: "event of an attempt that was not made", run: []evidence.Verdict{evidence.Unexpected},
			service: service{logs: onRecord(victim, func(r sdklog.Record) []sdklog.Record {
				other := r.Clone()
				other.SetTraceID(otherTrace)
				other = set(semconv.KeyUserAgentOriginal, "curl/8")(other)[0]
				return []sdklog.Record{r, set("http.request.header.x-request-id", "")(other)[0]}
			})},
		},
		{
			name: "event without a trace", attempts: at(evidence.Incomplete), field: "trace_id",
			service: service{logs: onRecord(victim, func(r sdklog.Record) []sdklog.Record {
				r.SetTraceID(trace.TraceID{})
				return []sdklog.Record{r}
			})},
		},
		{
			name: "event at a wrong time", attempts: at(evidence.Wrong), field: "time",
			service: service{logs: onRecord(victim, func(r sdklog.Record) []sdklog.Record {
				r.SetTimestamp(r.Timestamp().Add(-time.Hour))
				return []sdklog.Record{r}
			})},
		},
		{
			name: "public endpoint recorded as an attempt", attempts: map[int]evidence.Verdict{15: evidence.Unexpected},
			run:     []evidence.Verdict{evidence.Unexpected}, // the series
			service: service{configure: func(c *otelauth.Config) { c.Public = nil }, isTrusting: true},
		},
	}
}

func attributeGaps() []gap {
	var all []gap
	for _, a := range []struct {
		name, key, value string
		verdict          evidence.Verdict
	}{
		{"wrong outcome", semconv.KeyOutcome, "success", evidence.Wrong},
		{"wrong user", semconv.KeyUserName, "bob", evidence.Wrong},
		{"wrong route", semconv.KeyHTTPRoute, "/reports", evidence.Wrong},
		{"path as route", semconv.KeyHTTPRoute, "/orders/7", evidence.Wrong},
		{"no route", semconv.KeyHTTPRoute, "", evidence.Incomplete},
		{"wrong method", semconv.KeyHTTPRequestMethod, "POST", evidence.Wrong},
		{"address of a proxy", semconv.KeyClientAddress, "10.0.0.7", evidence.Wrong},
		{"no address", semconv.KeyClientAddress, "", evidence.Incomplete},
		{"wrong status", semconv.KeyHTTPResponseStatusCode, "200", evidence.Wrong},
		{"no path", semconv.KeyURLPath, "", evidence.Incomplete},
		{"another hash of the same user", semconv.KeyUserHash, "k:0011", evidence.Wrong},
	} {
		all = append(all, gap{
			name: a.name, field: a.key, attempts: map[int]evidence.Verdict{victim: a.verdict},
			service: service{logs: onRecord(victim, set(a.key, a.value))},
		})
	}
	return append(all, gap{
		name: "unknown name in clear", field: semconv.KeyUserName, attempts: map[int]evidence.Verdict{stranger: evidence.Wrong},
		service: service{logs: onRecord(stranger, set(semconv.KeyUserName, "nobody"))},
	}, gap{
		name: "success without a user", field: semconv.KeyUserName, attempts: map[int]evidence.Verdict{lucky: evidence.Incomplete},
		service: service{logs: onRecord(lucky, func(r sdklog.Record) []sdklog.Record {
			return set(semconv.KeyUserName, "")(set(semconv.KeyUserHash, "")(r)[0])
		})},
	})
}

func spanGaps() []gap {
	return []gap{
		{
			name: "lost under sampling", attempts: map[int]evidence.Verdict{victim: evidence.SpanMissing},
			service: service{spans: onSpans(func(*tracetest.SpanStub) bool { return false })},
		},
		{
			name: "span in another trace", attempts: map[int]evidence.Verdict{victim: evidence.SpanElsewhere},
			service: service{spans: onSpans(func(s *tracetest.SpanStub) bool {
				s.SpanContext = s.SpanContext.WithTraceID(otherTrace)
				return true
			})},
		},
		{
			name: "span with another outcome", attempts: map[int]evidence.Verdict{victim: evidence.Wrong}, field: semconv.KeyOutcome,
			service: service{spans: onSpans(func(s *tracetest.SpanStub) bool {
				for i := range s.Attributes {
					if s.Attributes[i].Key == semconv.KeyOutcome {
						s.Attributes[i].Value = attribute.StringValue("success")
					}
				}
				return true
			})},
		},
		{
			name: "event in the trace of another request", attempts: map[int]evidence.Verdict{victim: evidence.Wrong}, field: "trace_id",
			service: service{isTrusting: true, logs: func(next sdklog.Exporter) sdklog.Exporter {
				var first trace.TraceID
				inner := onRecord(victim, func(r sdklog.Record) []sdklog.Record {
					r.SetTraceID(first)
					return []sdklog.Record{r}
				})(next)
				return onRecord(0, func(r sdklog.Record) []sdklog.Record { first = r.TraceID(); return []sdklog.Record{r} })(inner)
			}},
		},
	}
}

func metricGaps() []gap {
	run := func(v ...evidence.Verdict) []evidence.Verdict { return v }
	return []gap{
		{
			name: "one attempt not counted", run: run(evidence.Uncounted),
			service: service{metrics: onPoints(func(p *metricdata.DataPoint[int64]) bool {
				if isSeries(p, "/reports", "failure") {
					p.Value--
				}
				return true
			})},
		},
		{
			name: "series lost", run: run(evidence.Uncounted),
			service: service{metrics: onPoints(func(p *metricdata.DataPoint[int64]) bool { return !isSeries(p, "/admin", "missing") })},
		},
		{
			name: "series counted twice, delta", run: run(evidence.Unexpected),
			service: service{delta: true, metrics: onPoints(func(p *metricdata.DataPoint[int64]) bool {
				if isSeries(p, "/reports", "success") {
					p.Value *= 2
				}
				return true
			})},
		},
		{
			name: "counted for another route", run: run(evidence.Uncounted, evidence.Unexpected),
			service: service{metrics: onPoints(func(p *metricdata.DataPoint[int64]) bool {
				if isSeries(p, "/admin", "success") {
					p.Attributes = attribute.NewSet(attribute.String(semconv.KeyHTTPRoute, "/adminn"),
						attribute.String(semconv.KeyOutcome, "success"), attribute.String(semconv.KeyHTTPRequestMethod, "POST"))
				}
				return true
			})},
		},
	}
}

func secretGaps() []gap {
	leak := map[int]evidence.Verdict{victim: evidence.Leaked}
	return []gap{
		{
			name: "password in the body of an event", attempts: leak, field: "the body of an event",
			service: service{logs: onRecord(victim, func(r sdklog.Record) []sdklog.Record {
				r.SetBody(attribute.StringValue("login of alice with " + wrongPassword))
				return []sdklog.Record{r}
			})},
		},
		{
			name: "Authorization in a span", attempts: leak, field: "the attribute http.request.header.authorization",
			service: service{spans: onSpans(func(s *tracetest.SpanStub) bool {
				s.Attributes = append(s.Attributes, attribute.StringSlice("http.request.header.authorization",
					[]string{"Basic " + base64.StdEncoding.EncodeToString([]byte("alice:"+wrongPassword))}))
				return true
			})},
		},
		{
			name: "password in a metric", run: []evidence.Verdict{evidence.Leaked}, field: "the attribute of auth.attempts password",
			service: service{metrics: onPoints(func(p *metricdata.DataPoint[int64]) bool {
				if isSeries(p, "/reports", "failure") {
					kvs := append(p.Attributes.ToSlice(), attribute.String("password", wrongPassword))
					p.Attributes = attribute.NewSet(kvs...)
				}
				return true
			})},
		},
		{
			name: "password in another log line", run: []evidence.Verdict{evidence.Leaked}, field: "the body of an event",
			service: service{configure: func(c *otelauth.Config) {
				logger := c.LoggerProvider.Logger("app")
				c.Deny = func(w http.ResponseWriter, r *http.Request, d otelauth.Denial) {
					if _, password, ok := r.BasicAuth(); ok {
						var rec log.Record
						rec.SetBody(attribute.StringValue("denied: " + password))
						logger.Emit(context.Background(), rec) // a line outside of any trace
					}
				}
			}},
		},
	}
}

func serviceGaps() []gap {
	missing := map[int]evidence.Verdict{}
	for i := 5; i < 10; i++ { // the five attempts at /reports
		missing[i] = evidence.Missing
	}
	// Of each user the first hash is as good as any other.
	rehashed := map[int]evidence.Verdict{}
	for _, i := range []int{4, 6, 7, 9, 11, 12, 14} {
		rehashed[i] = evidence.Wrong
	}
	keys := 0
	return []gap{
		{
			name: "endpoint without the middleware", attempts: missing, service: service{untouched: "/reports"},
			run: []evidence.Verdict{evidence.Uncounted, evidence.Uncounted, evidence.Uncounted, evidence.Uncounted},
		},
		{
			name: "a key for user.hash in each request", field: semconv.KeyUserHash, attempts: rehashed,
			service: service{logs: onRecord(-1, func(r sdklog.Record) []sdklog.Record {
				hasHash := false
				r.WalkAttributes(func(kv attribute.KeyValue) bool { hasHash = hasHash || kv.Key == semconv.KeyUserHash; return true })
				if !hasHash {
					return []sdklog.Record{r}
				}
				keys++
				return set(semconv.KeyUserHash, "k:"+string(rune('a'+keys)))(r)
			})},
		},
	}
}

func TestGaps(t *testing.T) {
	t.Parallel()
	for _, g := range gaps() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			report := newRig(t, g.service, g.cfg).run(attempts())
			g.check(t, &report)
		})
	}
}

// check fails the test unless exactly the planted gap was found.
func (g *gap) check(t *testing.T, report *evidence.Report) {
	t.Helper()
	for i, j := range report.Attempts {
		want, planted := g.attempts[i]
		if !planted {
			want = evidence.Recorded
		}
		if !planted && i == len(report.Attempts)-1 { // at the public endpoint
			want = evidence.NotRequired
		}
		if j.Verdict != want {
			t.Errorf("%s is %q, want %q: %+v", j.ID, j.Verdict, want, j.Findings)
		}
		if planted && g.field != "" && (len(j.Findings) == 0 || j.Findings[0].Field != g.field) {
			t.Errorf("%s: %+v, want a finding about %s", j.ID, j.Findings, g.field)
		}
	}
	var run []evidence.Verdict
	for _, f := range report.Findings {
		run = append(run, f.Verdict)
	}
	slices.Sort(run)
	if !slices.Equal(run, g.run) {
		t.Fatalf("findings about the run %v, want %v: %+v", run, g.run, report.Findings)
	}
	if len(g.run) > 0 && g.field != "" && report.Findings[0].Field != g.field {
		t.Errorf("%+v, want a finding about %s", report.Findings, g.field)
	}
}

func TestNoGaps(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]service{
		"new traces":       {},
		"continued traces": {isTrusting: true},
		"delta":            {delta: true},
		"half is sampled":  {sampler: sdktrace.TraceIDRatioBased(0.5)},
		"none is sampled":  {sampler: sdktrace.NeverSample()},
		"behind a proxy":   {configure: func(c *otelauth.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }},
		"folds":            {configure: func(c *otelauth.Config) { c.Events = audit.Events{Burst: 1} }},
		"traceparent only": {token: "Traceparent"},
		"request id only":  {token: "X-Request-Id"},
		"agent only":       {token: "User-Agent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := newRig(t, s, evidence.Config{}).run(attempts())
			for _, j := range report.Attempts {
				if j.Verdict.IsGap() || j.Verdict == evidence.Unknown {
					t.Errorf("%s is %s: %+v", j.ID, j.Verdict, j.Findings)
				}
			}
			for _, f := range report.Findings {
				t.Errorf("%+v", f)
			}
			if n := report.Count()[evidence.Folded]; (n > 0) != (name == "folds") {
				t.Errorf("%d attempts are folded", n)
			}
			if report.Gaps() != 0 {
				t.Errorf("%d gaps", report.Gaps())
			}
			if len(report.Series) != 12 {
				t.Errorf("%d series, want those of 4 outcomes at 3 endpoints: %+v", len(report.Series), report.Series)
			}
		})
	}
}
