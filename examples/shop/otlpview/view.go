// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otlpview

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
)

// MaxItems bounds the spans, the events and the exemplars that are kept, each. Older ones are
// dropped. One item takes about 1 KiB.
const MaxItems = 20_000

// Attributes are those of a span, an event or a point, with values as text.
type Attributes map[string]string

// String returns the attributes in the order of their keys.
func (a Attributes) String() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(key + "=" + a[key])
	}
	return b.String()
}

// Span is one finished span.
type Span struct {
	Service    string
	TraceID    trace.TraceID
	ID, Parent trace.SpanID
	Kind       trace.SpanKind
	Name       string
	Start, End time.Time
	Failed     bool // the status is Error
	Links      []trace.TraceID
	Attributes Attributes
}

// Event is one log record.
type Event struct {
	Service    string
	Name       string
	Severity   string
	Time       time.Time
	TraceID    trace.TraceID
	SpanID     trace.SpanID
	Attributes Attributes
}

// Exemplar is a measurement of a trace, with its series as it was at that time.
type Exemplar struct {
	Service    string
	Metric     string
	Attributes Attributes
	Total      float64 // value of a counter, or number of measurements of a histogram
	Value      float64
	TraceID    trace.TraceID
	SpanID     trace.SpanID
}

// Trace is everything that carries one trace id.
type Trace struct {
	ID        trace.TraceID
	Spans     []Span     // by Start
	Events    []Event    // by Time
	Exemplars []Exemplar // by Service, Metric and Attributes, one for each series
}

// View keeps what it receives. Use [New]. It is safe for concurrent use.
type View struct {
	receiver *otlpreceiver.Receiver

	mu        sync.Mutex
	spans     []Span
	events    []Event
	exemplars []Exemplar
	changed   chan struct{} // closed at the next change
	onEvent   func(Event)
	onRequest func(path string, body []byte)
}

// New returns an empty View.
func New() *View {
	v := &View{changed: make(chan struct{})}
	v.receiver = otlpreceiver.New(otlpreceiver.Config{Sink: v.take})
	return v
}

// OnEvent calls f with each event when it arrives. f must not block or call the View.
func (v *View) OnEvent(f func(Event)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.onEvent = f
}

// OnRequest calls f with the path and the uncompressed body of each request. f must not block or
// call the View.
func (v *View) OnRequest(f func(path string, body []byte)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.onRequest = f
}

// Trace returns everything that carries the trace id.
func (v *View) Trace(id trace.TraceID) Trace {
	v.mu.Lock()
	defer v.mu.Unlock()
	t := Trace{ID: id}
	for _, s := range v.spans {
		if s.TraceID == id {
			t.Spans = append(t.Spans, s)
		}
	}
	for _, e := range v.events {
		if e.TraceID == id {
			t.Events = append(t.Events, e)
		}
	}
	series := make(map[string]Exemplar)
	for _, e := range v.exemplars {
		if e.TraceID != id {
			continue
		}
		key := e.Service + " " + e.Metric + " " + e.Attributes.String()
		// a later export repeats an exemplar that has not been replaced
		if _, known := series[key]; !known {
			series[key] = e
		}
	}
	for _, key := range slices.Sorted(maps.Keys(series)) {
		t.Exemplars = append(t.Exemplars, series[key])
	}
	slices.SortStableFunc(t.Spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	slices.SortStableFunc(t.Events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return t
}

// Events returns the events of that name, in the order of arrival.
func (v *View) Events(name string) []Event {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []Event
	for _, e := range v.events {
		if e.Name == name {
			all = append(all, e)
		}
	}
	return all
}

// Wait returns nil as soon as done reports true, or the error of ctx if ctx ends first.
func (v *View) Wait(ctx context.Context, there func() bool) error {
	for {
		v.mu.Lock()
		changed := v.changed
		v.mu.Unlock()
		if there() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// latest drops the older half of a list that has too many items.
func latest[T any](all []T) []T {
	if len(all) <= MaxItems {
		return all
	}
	return append(all[:0:0], all[len(all)-MaxItems/2:]...)
}

func attributesOf(list []*commonpb.KeyValue) Attributes {
	a := make(Attributes, len(list))
	for _, kv := range list {
		a[kv.GetKey()] = otlpreceiver.Text(kv.GetValue())
	}
	return a
}
