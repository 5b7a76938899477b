// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/spans"
)

// Recorder records the spans, metrics and events of its providers. It samples every span, drops
// nothing, does not limit cardinality and ignores OTEL_* variables. Create it with [NewRecorder].
// It is safe for concurrent use.
type Recorder struct {
	t testing.TB

	traces  *sdktrace.TracerProvider
	meters  *sdkmetric.MeterProvider
	loggers *sdklog.LoggerProvider

	spans  *tracetest.InMemoryExporter
	reader *sdkmetric.ManualReader
	logs   *logExporter
}

// NewRecorder returns a Recorder whose providers are shut down when t ends.
func NewRecorder(t testing.TB) *Recorder {
	t.Helper()
	res := resource.NewSchemaless(semconv.ServiceName("otelauthtest"))
	r := &Recorder{
		t:      t,
		spans:  tracetest.NewInMemoryExporter(),
		reader: sdkmetric.NewManualReader(),
		logs:   &logExporter{},
	}
	r.traces = sdktrace.NewTracerProvider(
		sdktrace.WithResource(res),
		sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithRawSpanLimits(sdktrace.SpanLimits{
			AttributeValueLengthLimit: -1, AttributeCountLimit: -1, EventCountLimit: -1, LinkCountLimit: -1,
			AttributePerEventCountLimit: -1, AttributePerLinkCountLimit: -1, AttributeValueDepthLimit: -1,
		}),
		sdktrace.WithSyncer(r.spans),
	)
	r.meters = sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(res),
		sdkmetric.WithReader(r.reader),
		sdkmetric.WithExemplarFilter(exemplar.TraceBasedFilter),
		sdkmetric.WithCardinalityLimit(0),
	)
	r.loggers = sdklog.NewLoggerProvider(
		sdklog.WithResource(res),
		sdklog.WithAttributeCountLimit(-1),
		sdklog.WithAttributeValueLengthLimit(-1),
		// A test should see duplicate keys, which are an error.
		sdklog.WithAllowKeyDuplication(),
		sdklog.WithProcessor(sdklog.NewSimpleProcessor(r.logs)),
	)
	t.Cleanup(func() {
		// The context of the test has ended.
		ctx := context.Background()
		_ = r.traces.Shutdown(ctx)
		_ = r.meters.Shutdown(ctx)
		_ = r.loggers.Shutdown(ctx)
	})
	return r
}

// TracerProvider returns the provider of the spans in [Recorder.Spans].
func (r *Recorder) TracerProvider() trace.TracerProvider { return r.traces }

// MeterProvider returns the provider of the points in [Recorder.Metrics].
func (r *Recorder) MeterProvider() metric.MeterProvider { return r.meters }

// LoggerProvider returns the provider of the records in [Recorder.Events].
func (r *Recorder) LoggerProvider() log.LoggerProvider { return r.loggers }

// Observers returns the observers for spans, metrics and events with the providers of the
// Recorder, for a service that calls an [attempt.Observer] itself. scheme is that of
// [spans.Config]; "" means basic.
func (r *Recorder) Observers(scheme attempt.Scheme) attempt.Observer {
	r.t.Helper()
	s, err := spans.New(spans.Config{TracerProvider: r.traces, Scheme: scheme})
	if err != nil {
		r.t.Fatal(err)
	}
	m, err := metrics.New(metrics.Config{MeterProvider: r.meters})
	if err != nil {
		r.t.Fatal(err)
	}
	a, err := audit.New(audit.Config{
		LoggerProvider: r.loggers,
		Events:         audit.Events{DangerouslyUnfolded: true}, // a test sees every event
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return attempt.Join(s, m, a)
}

// Attributes is a list of attributes in the order in which they were exported.
type Attributes []attribute.KeyValue

// Get returns the value of key, of Type attribute.EMPTY when key is missing.
func (a Attributes) Get(key string) attribute.Value {
	for _, kv := range a {
		if string(kv.Key) == key {
			return kv.Value
		}
	}
	return attribute.Value{}
}

// Has reports whether key is present.
func (a Attributes) Has(key string) bool {
	return slices.ContainsFunc(a, func(kv attribute.KeyValue) bool { return string(kv.Key) == key })
}

// Text returns the value of key as text, or "" when key is missing.
func (a Attributes) Text(key string) string {
	if !a.Has(key) {
		return ""
	}
	return a.Get(key).String()
}

// Map returns the attributes as a map for comparison. Values are string, bool, int64, float64 or
// slices of them.
func (a Attributes) Map() map[string]any {
	m := make(map[string]any, len(a))
	for _, kv := range a {
		m[string(kv.Key)] = kv.Value.AsInterface()
	}
	return m
}

// contains reports whether all of want are present.
func (a Attributes) contains(want []attribute.KeyValue) bool {
	for _, w := range want {
		found := slices.ContainsFunc(a, func(kv attribute.KeyValue) bool {
			return kv.Key == w.Key && kv.Value.Type() == w.Value.Type() && kv.Value.String() == w.Value.String()
		})
		if !found {
			return false
		}
	}
	return true
}

// Span is one finished span.
type Span struct {
	tracetest.SpanStub
}

// Attribute returns the value of key as text, or "" when key is missing.
func (s Span) Attribute(key string) string { return Attributes(s.Attributes).Text(key) }

// Spans returns the spans that have ended, in the order in which they ended.
func (r *Recorder) Spans() []Span {
	var all []Span
	for _, s := range r.spans.GetSpans() {
		all = append(all, Span{s})
	}
	return all
}

// Event is one log record.
type Event struct {
	sdklog.Record
}

// Attributes returns the attributes of the event.
func (e Event) Attributes() Attributes {
	rec := e.Record
	kv := make(Attributes, 0, rec.AttributesLen())
	rec.WalkAttributes(func(a attribute.KeyValue) bool {
		kv = append(kv, a)
		return true
	})
	return kv
}

// Attribute returns the value of key as text, or "" when key is missing.
func (e Event) Attribute(key string) string { return e.Attributes().Text(key) }

// Name returns the name of the event.
func (e Event) Name() string { rec := e.Record; return rec.EventName() }

// Events returns the log records in the order in which they were emitted.
func (r *Recorder) Events() []Event {
	var all []Event
	for _, rec := range r.logs.records() {
		all = append(all, Event{rec})
	}
	return all
}

// logExporter keeps log records; the SDK has such an exporter for spans only.
type logExporter struct {
	mu   sync.Mutex
	kept []sdklog.Record
}

func (e *logExporter) Export(_ context.Context, recs []sdklog.Record) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range recs {
		e.kept = append(e.kept, recs[i].Clone())
	}
	return nil
}

func (e *logExporter) Shutdown(context.Context) error   { return nil }
func (e *logExporter) ForceFlush(context.Context) error { return nil }

func (e *logExporter) records() []sdklog.Record {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.kept)
}

// collect reads the instruments.
func (r *Recorder) collect() metricdata.ResourceMetrics {
	r.t.Helper()
	var rm metricdata.ResourceMetrics
	if err := r.reader.Collect(context.Background(), &rm); err != nil {
		r.t.Fatalf("otelauthtest: cannot collect the metrics: %v", err)
	}
	return rm
}
