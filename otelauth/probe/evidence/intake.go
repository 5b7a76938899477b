// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// event is a record that the ledger keeps.
type event struct {
	signal     string // "event" or "line"
	name       string
	line       int64
	time       time.Time
	resolution time.Duration
	arrived    time.Time
	trace      traceID
	span       spanID
	sampled    bool
	attributes []attr
	tried      int    // how much was known when its entry was last looked for
	of         *entry // nil: not correlated
}

type attr struct{ key, value string }

// kept are the attributes that the judgement needs or that a report shows.
var kept = map[string]bool{
	semconv.KeyOutcome: true, semconv.KeyScheme: true, semconv.KeyErrorType: true, semconv.KeyReason: true,
	semconv.KeyUserName: true, semconv.KeyUserHash: true, semconv.KeyClientAddress: true,
	semconv.KeyHTTPRequestMethod: true, semconv.KeyHTTPRoute: true, semconv.KeyURLPath: true,
	semconv.KeyHTTPResponseStatusCode: true, semconv.KeyUserAgentOriginal: true, keyRequestID: true,
	semconv.KeyResponseElsewhere: true,
}

// maxValueBytes bounds a value that is kept.
const maxValueBytes = 1024

// get returns the value of an attribute, "" if the event lacks it.
func (e *event) get(key string) string {
	for i := range e.attributes {
		if e.attributes[i].key == key {
			return e.attributes[i].value
		}
	}
	return ""
}

func (e *event) put(key, value string) {
	if kept[key] {
		e.attributes = append(e.attributes, attr{key, clip(value)})
	}
}

// clip bounds a value. The copy frees the text that the value is a part of.
func clip(s string) string { return strings.Clone(s[:min(len(s), maxValueBytes)]) }

// Export adds a request of an OTLP exporter. It fits the sink of the receiver. The error is always
// nil.
func (l *Ledger) Export(x *otlpreceiver.Export) error {
	found := l.scanner.Scan(x.Body) // without the lock: it is the largest part of the work
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.notify()
	l.received.Bytes += int64(len(x.Body))
	if len(x.Body) > 0 && l.seen.again(x.Body) {
		l.received.Redelivered++
		return nil
	}
	if len(found) > 0 {
		l.addLeaks(x, found)
	}
	switch x.Signal {
	case otlpreceiver.Logs:
		l.addLogs(x)
	case otlpreceiver.Traces:
		l.addSpans(x)
	case otlpreceiver.Metrics:
		l.addPoints(x)
	}
	return nil
}

func (l *Ledger) addLogs(x *otlpreceiver.Export) {
	for _, of := range x.Logs.GetResourceLogs() {
		for _, scope := range of.GetScopeLogs() {
			for _, r := range scope.GetLogRecords() {
				l.addLog(r, x.Arrived)
			}
		}
	}
}

func (l *Ledger) addLog(r *logspb.LogRecord, arrived time.Time) {
	l.received.Events++
	outcome := valueOf(r.GetAttributes(), semconv.KeyOutcome)
	switch {
	case r.GetEventName() == semconv.EventEventsSuppressed:
		l.addFold(r)
	case r.GetEventName() == semconv.EventAttempt, r.GetEventName() == "" && outcome != "":
		e := &event{
			signal: "event", name: clip(r.GetEventName()), time: timeOf(r.GetTimeUnixNano()), arrived: arrived,
			sampled: r.GetFlags()&1 != 0,
		}
		copy(e.trace[:], r.GetTraceId())
		copy(e.span[:], r.GetSpanId())
		for _, kv := range r.GetAttributes() {
			e.put(kv.GetKey(), otlpreceiver.Text(kv.GetValue()))
		}
		l.addEvent(e)
	}
}

// addEvent adds an event to its entry, or to those that are resolved later.
func (l *Ledger) addEvent(e *event) {
	if x := l.by.find(e); x != nil {
		l.attach(x, e)
		return
	}
	if len(l.others) >= l.cfg.MaxOthers {
		l.others = append(l.others[:0], l.others[len(l.others)/4:]...)
		l.received.Dropped += int64(l.cfg.MaxOthers - len(l.others))
	}
	l.others = append(l.others, e)
}

func (l *Ledger) attach(x *entry, e *event) {
	e.of = x
	x.count++
	if e.trace != (traceID{}) && l.by.event[e.trace] == nil {
		l.by.event[e.trace] = x
	}
	if len(x.events) < maxEvents {
		x.events = append(x.events, e)
	}
}

// Add adds an event or a line that did not arrive over OTLP.
func (l *Ledger) Add(r Record) {
	found := l.scanner.Scan(r.Raw)
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.notify()
	l.received.Lines++
	l.received.Bytes += int64(len(r.Raw))
	var e *event
	if r.IsAttempt {
		e = &event{
			signal: "line", name: clip(r.Name), line: r.Line, time: r.Time, resolution: r.Resolution, arrived: r.Arrived,
			trace: parseTrace(r.TraceID), span: parseSpan(r.SpanID), sampled: r.Sampled,
		}
		for key, value := range r.Attributes {
			e.put(key, value)
		}
		of := l.by.find(e)
		if of == nil {
			of = l.by.inLine(string(r.Raw))
		}
		switch {
		case of != nil:
			l.attach(of, e)
		case r.Time.IsZero() || !r.Time.Before(l.begun.Add(-l.cfg.Skew)):
			l.addEvent(e)
		}
	}
	l.addLineLeaks(&r, e, found)
}

func timeOf(unixNano uint64) time.Time {
	if unixNano == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(unixNano))
}

// valueOf returns the value of a key as text, "" if it is missing.
func valueOf(list []*commonpb.KeyValue, key string) string {
	for _, kv := range list {
		if kv.GetKey() == key {
			return otlpreceiver.Text(kv.GetValue())
		}
	}
	return ""
}
