// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
)

func ExampleLedger() {
	ledger, err := evidence.New(evidence.Config{Require: evidence.DefaultLines()})
	if err != nil {
		fmt.Println(err)
		return
	}
	at := time.Date(2026, 11, 29, 9, 30, 0, 0, time.UTC)
	err = ledger.Expect(evidence.Expectation{
		ID: "wrong password", AgentToken: "probe-1", Outcomes: []string{"failure"}, User: "alice", Account: true,
		Method: "GET", Path: "/orders/", Sent: at,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The request is sent and answered, and the service logs a line.
	err = ledger.Answered("wrong password", evidence.Answer{Status: http.StatusUnauthorized, Time: at.Add(time.Second)})
	if err != nil {
		fmt.Println(err)
		return
	}
	ledger.Add(evidence.Record{
		IsAttempt: true, Line: 7, Name: "auth_failure", Time: at, Arrived: at.Add(2 * time.Second),
		Attributes: map[string]string{
			"auth.outcome": "failure", "user.name": "bob", "url.path": "/orders/", "http.response.status_code": "401",
			"user_agent.original": "probe-1",
		},
	})
	report := ledger.Judge()
	for _, f := range report.Attempts[0].Findings {
		fmt.Printf("%s: %s, want %q, got %q\n", f.Verdict, f.Field, f.Want, f.Got)
	}
	fmt.Println(report.Attempts[0].Delay)
	// Output:
	// wrong attribute: user.name, want "alice", got "bob"
	// attribute missing: http.request.method, want "GET", got ""
	// 1s
}

var start = time.Date(2026, 11, 29, 9, 30, 0, 0, time.UTC)

// fixture is a ledger with attempts of one kind, on a clock of its own.
type fixture struct {
	optional bool // of the attempts
	t        *testing.T
	ledger   *evidence.Ledger
	now      time.Time
	n        int
	route    string // of the expectations
}

func newFixture(t *testing.T, cfg evidence.Config) *fixture {
	t.Helper()
	ledger, err := evidence.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t: t, ledger: ledger, now: start, route: "/a"}
}

func traceOf(i int) []byte {
	id := make([]byte, 16)
	copy(id, fmt.Sprintf("%016d", i))
	return id
}

// attempts makes n attempts without credentials, a second each.
func (f *fixture) attempts(n int) {
	f.t.Helper()
	for range n {
		id := fmt.Sprint(f.n)
		err := f.ledger.Expect(evidence.Expectation{
			ID: id, TraceID: hex.EncodeToString(traceOf(f.n)), Outcomes: []string{"missing"}, Route: f.route, Method: "GET", Sent: f.now,
			Optional: f.optional,
		})
		if err != nil {
			f.t.Fatal(err)
		}
		f.now = f.now.Add(time.Second)
		if err := f.ledger.Answered(id, evidence.Answer{Status: 401, Time: f.now}); err != nil {
			f.t.Fatal(err)
		}
		f.n++
	}
}

func (f *fixture) export(m proto.Message) {
	f.t.Helper()
	body, err := proto.Marshal(m)
	if err != nil {
		f.t.Fatal(err)
	}
	e := &otlpreceiver.Export{Body: body, Arrived: f.now}
	switch m := m.(type) {
	case *logspb.LogsData:
		e.Signal, e.Logs = otlpreceiver.Logs, m
	case *tracepb.TracesData:
		e.Signal, e.Traces = otlpreceiver.Traces, m
	case *metricspb.MetricsData:
		e.Signal, e.Metrics = otlpreceiver.Metrics, m
	}
	if err := f.ledger.Export(e); err != nil {
		f.t.Fatal(err)
	}
}

func kv(key, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

func number(key string, n int64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: n}}}
}

// event is the event of attempt i.
func event(i int) *logspb.LogRecord {
	return &logspb.LogRecord{
		EventName: "auth.attempt", TraceId: traceOf(i), SpanId: traceOf(i)[8:], Flags: 1,
		TimeUnixNano: uint64(start.Add(time.Duration(i) * time.Second).UnixNano()),
		Attributes: []*commonpb.KeyValue{
			kv("auth.outcome", "missing"), kv("http.route", "/a"), kv("http.request.method", "GET"), number("http.response.status_code", 401),
		},
	}
}

func events(list ...*logspb.LogRecord) *logspb.LogsData {
	return &logspb.LogsData{ResourceLogs: []*logspb.ResourceLogs{{ScopeLogs: []*logspb.ScopeLogs{{LogRecords: list}}}}}
}

func span(i int) *tracepb.Span {
	return &tracepb.Span{TraceId: traceOf(i), SpanId: traceOf(i)[8:], Name: "authenticate basic", Attributes: []*commonpb.KeyValue{kv("auth.outcome", "missing")}}
}

func spans(list ...*tracepb.Span) *tracepb.TracesData {
	return &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: list}}}}}
}

// counted is an export of auth.attempts with the value of the only series.
func counted(value int64, started, at time.Time, isDelta bool) *metricspb.MetricsData {
	temporality := metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE
	if isDelta {
		temporality = metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA
	}
	point := &metricspb.NumberDataPoint{
		Attributes:   []*commonpb.KeyValue{kv("auth.outcome", "missing"), kv("http.route", "/a"), kv("http.request.method", "GET")},
		TimeUnixNano: uint64(at.UnixNano()), Value: &metricspb.NumberDataPoint_AsInt{AsInt: value},
	}
	if !started.IsZero() {
		point.StartTimeUnixNano = uint64(started.UnixNano())
	}
	return &metricspb.MetricsData{ResourceMetrics: []*metricspb.ResourceMetrics{{ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: []*metricspb.Metric{{
		Name: "auth.attempts", Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{
			AggregationTemporality: temporality, IsMonotonic: true, DataPoints: []*metricspb.NumberDataPoint{point},
		}},
	}}}}}}}
}

// want fails the test unless the verdicts on the attempts are these, and those on the run too.
func (f *fixture) want(attempts map[evidence.Verdict]int, run ...evidence.Verdict) evidence.Report {
	f.t.Helper()
	report := f.ledger.Judge()
	got := report.Count()
	for v := range got {
		if got[v] != attempts[v] {
			f.t.Errorf("attempts %v, want %v: %+v", got, attempts, report.Attempts)
			break
		}
	}
	for v, n := range attempts {
		if got[v] != n {
			f.t.Errorf("%d attempts are %s, want %d", got[v], v, n)
		}
	}
	if len(report.Findings) != len(run) {
		f.t.Fatalf("findings %+v, want %v", report.Findings, run)
	}
	for i := range run {
		if report.Findings[i].Verdict != run[i] {
			f.t.Errorf("finding %+v, want %s", report.Findings[i], run[i])
		}
	}
	return report
}

var logsAndSpans = []evidence.Requirement{evidence.Events, evidence.NoOthers, evidence.Spans, evidence.Route, evidence.Status}

// TestTwiceAndOutOfOrder sends spans before and after their events, in reverse, and each export
// twice, as an exporter does that got no answer.
func TestTwiceAndOutOfOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t, evidence.Config{Require: logsAndSpans})
	f.attempts(4)
	for i := 3; i >= 0; i-- {
		if i%2 == 0 {
			f.export(spans(span(i)))
		}
		f.export(events(event(i)))
		f.export(events(event(i)))
		if i%2 == 1 {
			f.export(spans(span(i)))
			f.export(spans(span(i)))
		}
	}
	report := f.want(map[evidence.Verdict]int{evidence.Recorded: 4})
	if report.Received.Redelivered != 6 || report.Received.Events != 4 {
		t.Errorf("%+v", report.Received)
	}
	f.export(events(event(0), event(0))) // in one export it is no delivery
	f.want(map[evidence.Verdict]int{evidence.Recorded: 3, evidence.Duplicate: 1})
}

// TestRoutes compares routes without the names of their parameters, and does not compare a route
// that is not known: a list without routes does not make every route wrong.
func TestRoutes(t *testing.T) {
	t.Parallel()
	require := []evidence.Requirement{evidence.Events, evidence.NoOthers, evidence.Route, evidence.Metrics}
	for _, c := range []struct {
		expected, recorded string
		want               evidence.Verdict
		run                []evidence.Verdict
	}{
		{"/orders/{id}", "/orders/{id}", evidence.Recorded, nil},
		{"/orders/{id}", "/orders/:order", evidence.Recorded, nil},
		{"/orders/{id}/notes", "/orders/<int:pk>/notes", evidence.Recorded, nil},
		{"/files/{path...}", "/files/*path", evidence.Recorded, nil},
		{"/orders/", "/orders/{$}", evidence.Recorded, nil},
		{"", "/whatever/{id}", evidence.Recorded, nil},
		{"", "", evidence.Recorded, nil},
		{"/orders/{id}", "", evidence.Incomplete, []evidence.Verdict{evidence.Unexpected, evidence.Uncounted}},
		{"/orders/{id}", "/orders/7", evidence.Wrong, []evidence.Verdict{evidence.Unexpected, evidence.Uncounted}},
		{"/orders/{id}", "/customers/{id}", evidence.Wrong, []evidence.Verdict{evidence.Unexpected, evidence.Uncounted}},
	} {
		f := newFixture(t, evidence.Config{Require: require})
		f.route = c.expected
		export := func(n int64) {
			m := counted(n, start, f.now, false)
			point := m.GetResourceMetrics()[0].GetScopeMetrics()[0].GetMetrics()[0].GetSum().GetDataPoints()[0]
			point.Attributes[1] = kv("http.route", c.recorded)
			f.export(m)
		}
		export(0)
		f.attempts(2)
		f.now = f.now.Add(time.Second)
		for i := range 2 {
			e := event(i)
			e.Attributes[1] = kv("http.route", c.recorded)
			f.export(events(e))
		}
		export(2)
		report := f.ledger.Judge()
		if n := report.Count()[c.want]; n != 2 {
			t.Errorf("%q recorded as %q: %v, want %s", c.expected, c.recorded, report.Count(), c.want)
		}
		for _, v := range c.run {
			if !slices.ContainsFunc(report.Findings, func(f evidence.Finding) bool { return f.Verdict == v }) {
				t.Errorf("%q recorded as %q: no finding %s in %+v", c.expected, c.recorded, v, report.Findings)
			}
		}
		if len(c.run) == 0 && len(report.Findings) > 0 {
			t.Errorf("%q recorded as %q: %+v", c.expected, c.recorded, report.Findings)
		}
	}
}

func TestLate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, evidence.Config{Require: []evidence.Requirement{evidence.Events}, Late: 10 * time.Second})
	f.attempts(2)
	f.export(events(event(1)))
	f.now = f.now.Add(10 * time.Second)
	f.export(events(event(0)))
	report := f.want(map[evidence.Verdict]int{evidence.Recorded: 1, evidence.Late: 1})
	if report.Delay.Max != 11*time.Second || report.Attempts[1].Delay != 0 {
		t.Errorf("%+v", report.Delay)
	}
}

// TestWait returns when the last span has arrived, and not before.
func TestWait(t *testing.T) {
	t.Parallel()
	f := newFixture(t, evidence.Config{Require: logsAndSpans})
	f.attempts(2)
	done := make(chan error, 1)
	go func() { done <- f.ledger.Wait(t.Context()) }()
	f.export(events(event(0), event(1)))
	f.export(spans(span(0)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.ledger.Wait(ctx); err == nil {
		t.Error("a span is missing, and Wait returns nil")
	}
	f.export(spans(span(1)))
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestWaitOptional: the event of a request that needs none demands its span nevertheless.
func TestWaitOptional(t *testing.T) {
	t.Parallel()
	f := newFixture(t, evidence.Config{Require: logsAndSpans})
	f.optional = true
	f.attempts(1)
	if err := f.ledger.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	f.export(events(event(0)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.ledger.Wait(ctx); err == nil {
		t.Error("the span of the event is missing, and Wait returns nil")
	}
	f.export(spans(span(0)))
	if err := f.ledger.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestUnknown loses telemetry in places that the ledger knows of.
func TestUnknown(t *testing.T) {
	t.Parallel()
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, evidence.Config{Require: logsAndSpans})
		f.attempts(2)
		f.export(events(event(0)))
		f.ledger.Refused(1)
		f.want(map[evidence.Verdict]int{evidence.Unknown: 2}) // one has no event, one no span
	})
	t.Run("no answer", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, evidence.Config{Require: logsAndSpans})
		if err := f.ledger.Expect(evidence.Expectation{ID: "x", Outcomes: []string{"missing"}, Sent: f.now}); err != nil {
			t.Fatal(err)
		}
		if err := f.ledger.Answered("x", evidence.Answer{Time: f.now}); err != nil {
			t.Fatal(err)
		}
		f.want(map[evidence.Verdict]int{evidence.Unknown: 1})
	})
	t.Run("no export after the last answer", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, evidence.Config{Require: []evidence.Requirement{evidence.Metrics}})
		f.export(counted(5, start, start, false))
		f.attempts(2)
		f.now = start.Add(time.Second)
		f.export(counted(6, start, start.Add(time.Second), false))
		f.want(map[evidence.Verdict]int{evidence.Recorded: 2}, evidence.Unknown)
	})
	t.Run("counted before the run", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, evidence.Config{Require: []evidence.Requirement{evidence.Metrics}})
		f.attempts(2)
		f.export(counted(9, start.Add(-time.Hour), f.now, false))
		f.want(map[evidence.Verdict]int{evidence.Recorded: 2}, evidence.Unknown)
	})
}

// TestCounters has resets, both temporalities, and traffic of others.
func TestCounters(t *testing.T) {
	t.Parallel()
	type export struct {
		value       int64
		started, at int // seconds after start
		isDelta     bool
	}
	for name, c := range map[string]struct {
		before, after []export
		shared        bool
		run           []evidence.Verdict
	}{
		"cumulative":               {before: []export{{7, -9, 0, false}}, after: []export{{12, -9, 6, false}}},
		"cumulative, lost":         {before: []export{{7, -9, 0, false}}, after: []export{{11, -9, 6, false}}, run: []evidence.Verdict{evidence.Uncounted}},
		"cumulative, out of order": {before: []export{{7, -9, 0, false}}, after: []export{{12, -9, 6, false}, {9, -9, 3, false}}},
		"restart":                  {before: []export{{7, -9, 0, false}}, after: []export{{9, -9, 2, false}, {3, 3, 6, false}}},
		"restart, lost":            {before: []export{{7, -9, 0, false}}, after: []export{{9, -9, 2, false}, {2, 3, 6, false}}, run: []evidence.Verdict{evidence.Uncounted}},
		"reset without a start":    {before: []export{{7, 0, 0, false}}, after: []export{{10, 0, 3, false}, {2, 0, 6, false}}},
		"delta":                    {before: []export{{7, -9, 0, true}}, after: []export{{2, 0, 2, true}, {3, 2, 6, true}}},
		"delta, twice":             {before: []export{{7, -9, 0, true}}, after: []export{{2, 0, 2, true}, {3, 2, 6, true}, {2, 0, 2, true}}},
		"delta, lost":              {before: []export{{7, -9, 0, true}}, after: []export{{3, 2, 6, true}}, run: []evidence.Verdict{evidence.Uncounted}},
		"others":                   {before: []export{{7, -9, 0, false}}, after: []export{{20, -9, 6, false}}, run: []evidence.Verdict{evidence.Unexpected}},
		"others, shared":           {before: []export{{7, -9, 0, false}}, after: []export{{20, -9, 6, false}}, shared: true},
		"others, shared, lost":     {before: []export{{7, -9, 0, false}}, after: []export{{11, -9, 6, false}}, shared: true, run: []evidence.Verdict{evidence.Uncounted}},
		"nothing":                  {run: []evidence.Verdict{evidence.Uncounted}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, evidence.Config{Require: []evidence.Requirement{evidence.Metrics}, SharedTraffic: c.shared})
			at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
			send := func(list []export) {
				for _, e := range list {
					started := at(e.started)
					if name == "reset without a start" {
						started = time.Time{}
					}
					f.export(counted(e.value, started, at(e.at), e.isDelta))
				}
			}
			send(c.before)
			if f.ledger.HasBaseline() != (len(c.before) > 0) {
				t.Error("the baseline is wrong")
			}
			f.attempts(5)
			send(c.after)
			f.want(map[evidence.Verdict]int{evidence.Recorded: 5}, c.run...)
		})
	}
}

// TestFolds counts what folds account for.
func TestFolds(t *testing.T) {
	t.Parallel()
	fold := func(count int64, routes, counts string, traces ...int) *logspb.LogRecord {
		list := []*commonpb.KeyValue{
			kv("auth.events.suppressed.event", "auth.attempt"), number("auth.events.suppressed.count", count), kv("auth.outcome", "missing"),
			kv("auth.events.suppressed.routes", routes), kv("auth.events.suppressed.route_counts", counts),
		}
		var ids []string
		for _, i := range traces {
			ids = append(ids, hex.EncodeToString(traceOf(i)))
		}
		return &logspb.LogRecord{EventName: "auth.events.suppressed", Attributes: append(list, kv("auth.events.suppressed.trace_ids", strings.Join(ids, ",")))}
	}
	for name, c := range map[string]struct {
		fold     *logspb.LogRecord
		require  []evidence.Requirement
		attempts map[evidence.Verdict]int
		run      []evidence.Verdict
	}{
		"all":      {fold: fold(8, "/a", "8"), attempts: map[evidence.Verdict]int{evidence.Recorded: 2, evidence.Folded: 8}},
		"by other": {fold: fold(8, "_OTHER", "8"), attempts: map[evidence.Verdict]int{evidence.Recorded: 2, evidence.Folded: 8}},
		"one lost": {
			fold: fold(7, "/a", "7", 2, 3), attempts: map[evidence.Verdict]int{evidence.Recorded: 2, evidence.Folded: 2, evidence.Unknown: 6},
			run: []evidence.Verdict{evidence.Missing},
		},
		"another route": {
			fold: fold(8, "/a,/b", "7,1"), attempts: map[evidence.Verdict]int{evidence.Recorded: 2, evidence.Unknown: 8},
			run: []evidence.Verdict{evidence.Missing},
		},
		"one too many": {fold: fold(9, "/a", "9"), attempts: map[evidence.Verdict]int{evidence.Recorded: 2, evidence.Folded: 8}, run: []evidence.Verdict{evidence.Unexpected}},
		"each attempt": {
			fold: fold(8, "/a", "8"), require: []evidence.Requirement{evidence.EachAttempt},
			attempts: map[evidence.Verdict]int{evidence.Recorded: 2, evidence.Missing: 8},
		},
		"none": {fold: event(0), attempts: map[evidence.Verdict]int{evidence.Duplicate: 1, evidence.Recorded: 1, evidence.Missing: 8}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.require == nil {
				c.require = []evidence.Requirement{evidence.Events, evidence.NoOthers}
			}
			f := newFixture(t, evidence.Config{Require: c.require})
			f.attempts(10)
			f.export(events(event(0), event(1), c.fold))
			report := f.want(c.attempts, c.run...)
			if name == "each attempt" && !strings.Contains(report.Attempts[5].Findings[0].Detail, "--event-burst") {
				t.Errorf("%+v does not name the setting", report.Attempts[5])
			}
		})
	}
}

// TestRequire selects what must hold, one requirement after the other.
func TestRequire(t *testing.T) {
	t.Parallel()
	for r, found := range map[evidence.Requirement]bool{
		evidence.Events: true, evidence.EachAttempt: true, evidence.Spans: true, evidence.Metrics: true, evidence.Client: false, evidence.NoSecrets: false,
	} {
		f := newFixture(t, evidence.Config{Require: []evidence.Requirement{r}})
		f.attempts(1)
		if r == evidence.Spans {
			f.export(events(event(0)))
		}
		report := f.ledger.Judge()
		if (report.Gaps() > 0) != found {
			t.Errorf("%s: %+v %+v", r, report.Attempts, report.Findings)
		}
	}
	if _, err := evidence.New(evidence.Config{Require: []evidence.Requirement{"everything"}}); err == nil || !strings.Contains(err.Error(), "each-attempt") {
		t.Errorf("%v", err)
	}
	if _, err := evidence.New(evidence.Config{Secrets: []string{"abc"}}); err == nil || !strings.Contains(err.Error(), "shorter than 4 bytes") {
		t.Errorf("%v", err)
	}
}

func TestExpectationsThatCannotBeTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t, evidence.Config{MaxAttempts: 2})
	good := evidence.Expectation{ID: "a", TraceID: strings.Repeat("1", 32), RequestID: "r", AgentToken: "t-1"}
	if err := f.ledger.Expect(good); err != nil {
		t.Fatal(err)
	}
	for says, x := range map[string]evidence.Expectation{
		"ID is empty":        {},
		`"a" is used twice`:  {ID: "a"},
		"not 32 hexadecimal": {ID: "b", TraceID: "xyz"},
		"random one":         {ID: "b", TraceID: good.TraceID},
		`"r" is used twice`:  {ID: "b", RequestID: "r"},
		`"t-1" is used`:      {ID: "b", AgentToken: "t-1"},
		"other characters":   {ID: "b", AgentToken: "t 1"},
	} {
		if err := f.ledger.Expect(x); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", x, err, says)
		}
	}
	if err := f.ledger.Expect(evidence.Expectation{ID: "b"}); err != nil {
		t.Error(err)
	}
	if err := f.ledger.Expect(evidence.Expectation{ID: "c"}); err == nil || !strings.Contains(err.Error(), "MaxAttempts") {
		t.Errorf("%v", err)
	}
	if err := f.ledger.Answered("z", evidence.Answer{}); err == nil {
		t.Error("an answer without a request is accepted")
	}
}

// TestMillionSpans receives a million auth spans of others among those of the run. The memory is
// bounded, and the run is judged. Not parallel: the heap is that of the process.
func TestMillionSpans(t *testing.T) {
	if testkit.Race {
		return
	}
	const others, batch, own, limit = 1_000_000, 2_000, 200, 100_000
	f := newFixture(t, evidence.Config{Require: logsAndSpans, MaxSpans: limit, Secrets: []string{rightPassword, wrongPassword}})
	f.attempts(own)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	begun := time.Now()
	sent := 0
	for n := 0; n < others; n += batch {
		list := make([]*tracepb.Span, 0, batch+1)
		for i := range batch {
			list = append(list, span(1_000_000+n+i))
		}
		for sent < own && sent*(others/own) <= n {
			list = append(list, span(sent))
			sent++
		}
		f.export(spans(list...))
	}
	for i := range own {
		f.export(events(event(i)))
	}
	took := time.Since(begun)
	runtime.GC()
	runtime.ReadMemStats(&after)
	report := f.ledger.Judge()
	if n := report.Count()[evidence.Recorded]; n != own {
		t.Errorf("%d of %d attempts are recorded: %v", n, own, report.Count())
	}
	used := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20
	t.Logf("%d spans in %v; the ledger keeps %d MiB", report.Received.Spans, took.Round(time.Millisecond), used)
	if used > 60 {
		t.Errorf("the ledger keeps %d MiB for %d spans", used, limit)
	}
	if report.Received.Dropped == 0 || report.Received.Spans != others+own {
		t.Errorf("%+v", report.Received)
	}
}

// TestOutcomeByAnswer: the right password of an account that the endpoint does not know is a
// failure, that of an account which may not use it a success.
func TestOutcomeByAnswer(t *testing.T) {
	t.Parallel()
	for status, right := range map[int][]string{200: {"success"}, 401: {"success", "failure"}, 403: {"success"}, 404: {"success", "failure"}} {
		for _, outcome := range []string{"success", "failure", "missing"} {
			l, err := evidence.New(evidence.Config{Require: []evidence.Requirement{evidence.Events}})
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Expect(evidence.Expectation{ID: "a", AgentToken: "t-1", Outcomes: []string{"success", "failure"}, Sent: start}); err != nil {
				t.Fatal(err)
			}
			if err := l.Answered("a", evidence.Answer{Status: status, Time: start.Add(time.Second)}); err != nil {
				t.Fatal(err)
			}
			l.Add(evidence.Record{IsAttempt: true, Time: start, Arrived: start, Attributes: map[string]string{"auth.outcome": outcome, "user_agent.original": "t-1"}})
			got := l.Judge().Attempts[0].Verdict
			if want := map[bool]evidence.Verdict{true: evidence.Recorded, false: evidence.Wrong}[slices.Contains(right, outcome)]; got != want {
				t.Errorf("%d with outcome %s: %s, want %s", status, outcome, got, want)
			}
		}
	}
}

// TestLineOfAnotherUser: of two requests of the same time, a line without tokens is about the one
// whose user it names, or else about the one whose user is not certain.
func TestLineOfAnotherUser(t *testing.T) {
	t.Parallel()
	for _, user := range []string{"", "x"} {
		l, err := evidence.New(evidence.Config{Require: []evidence.Requirement{evidence.EachAttempt, evidence.User}})
		if err != nil {
			t.Fatal(err)
		}
		outcomes := []string{"success", "failure"}
		for i, x := range []evidence.Expectation{
			{ID: "bob", User: "bob", Outcomes: outcomes},
			{ID: "open", AnyUser: true, Outcomes: outcomes},
			{ID: "x", User: user, AnyUser: true, Outcomes: outcomes},
		} {
			x.Path, x.Sent = "/a", start.Add(time.Duration(i)*time.Millisecond)
			if err := l.Expect(x); err != nil {
				t.Fatal(err)
			}
			if err := l.Answered(x.ID, evidence.Answer{Status: 401, Time: x.Sent}); err != nil {
				t.Fatal(err)
			}
		}
		l.Add(evidence.Record{IsAttempt: true, Name: "failed", Line: 1, Time: start, Arrived: start, Attributes: map[string]string{"auth.outcome": "failure", "user.name": "x", "url.path": "/a"}})
		want := map[string]string{"": "open", "x": "x"}[user]
		for _, j := range l.Judge().Attempts {
			if (j.Verdict == evidence.Recorded) != (j.ID == want) {
				t.Errorf("user %q: %s is %s, want the line at %s", user, j.ID, j.Verdict, want)
			}
		}
	}
}

// TestSpanElsewhere: a span in another trace than its event is found by its own id, or by the trace
// of the request.
func TestSpanElsewhere(t *testing.T) {
	t.Parallel()
	other := func(change func(*tracepb.Span)) *tracepb.Span {
		s := span(9)
		change(s)
		return s
	}
	for name, c := range map[string]struct {
		span *tracepb.Span
		want evidence.Verdict
	}{
		"in the trace of the request": {other(func(s *tracepb.Span) { s.TraceId = traceOf(0) }), evidence.SpanElsewhere},
		"by its id":                   {other(func(s *tracepb.Span) { s.SpanId = traceOf(5)[8:] }), evidence.SpanElsewhere},
		"of another request":          {other(func(*tracepb.Span) {}), evidence.SpanMissing},
	} {
		f := newFixture(t, evidence.Config{Require: []evidence.Requirement{evidence.Spans}})
		x := evidence.Expectation{ID: "a", TraceID: hex.EncodeToString(traceOf(0)), AgentToken: "t-1", Outcomes: []string{"missing"}, Sent: start}
		if err := f.ledger.Expect(x); err != nil {
			t.Fatal(err)
		}
		if err := f.ledger.Answered("a", evidence.Answer{Status: 401, Time: start}); err != nil {
			t.Fatal(err)
		}
		e := event(5)
		e.Attributes = append(e.Attributes, kv("user_agent.original", "t-1"))
		f.export(spans(c.span))
		f.export(events(e))
		if got := f.ledger.Judge().Attempts[0].Verdict; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
