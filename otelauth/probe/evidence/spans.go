// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// authSpan is a span with auth.outcome.
type authSpan struct {
	trace   traceID
	id      spanID
	outcome string
}

// spanTable keeps auth spans by their trace. It is bounded: the oldest traces that no attempt
// wants go first, and lost counts their spans.
type spanTable struct {
	limit  int
	count  int
	traces map[traceID][]authSpan
	order  []traceID // a queue; the first is the oldest
	lost   int64
}

func (t *spanTable) init(limit int) { t.limit, t.traces = limit, map[traceID][]authSpan{} }

func (t *spanTable) has(id traceID) bool { return len(t.traces[id]) > 0 }

// maxSpansOfTrace bounds the auth spans of one trace: an attempt has two.
const maxSpansOfTrace = 16

func (t *spanTable) add(s authSpan, wanted func(traceID) bool) {
	of := t.traces[s.trace]
	if len(of) >= maxSpansOfTrace {
		return
	}
	if len(of) == 0 {
		t.order = append(t.order, s.trace)
	}
	t.traces[s.trace] = append(of, s)
	t.count++
	for tries := len(t.order); t.count > t.limit && tries > 0; tries-- {
		oldest := t.order[0]
		t.order = t.order[1:]
		if wanted(oldest) {
			t.order = append(t.order, oldest)
			continue
		}
		t.count -= len(t.traces[oldest])
		t.lost += int64(len(t.traces[oldest]))
		delete(t.traces, oldest)
	}
}

// bySpan returns the trace of each auth span by its span id.
func (t *spanTable) bySpan() map[spanID]traceID {
	all := make(map[spanID]traceID, t.count)
	for id, spans := range t.traces {
		for i := range spans {
			all[spans[i].id] = id
		}
	}
	return all
}

func (l *Ledger) addSpans(x *otlpreceiver.Export) {
	for _, of := range x.Traces.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				l.addSpan(s)
			}
		}
	}
}

func (l *Ledger) addSpan(s *tracepb.Span) {
	l.received.Spans++
	var own traceID
	copy(own[:], s.GetTraceId())
	for _, link := range s.GetLinks() {
		var to traceID
		copy(to[:], link.GetTraceId())
		if x := l.by.sent[to]; x != nil && l.by.linked[own] == nil && len(x.links) < maxSpansOfTrace {
			l.by.linked[own] = x
			x.links = append(x.links, own)
		}
	}
	outcome := valueOf(s.GetAttributes(), semconv.KeyOutcome)
	if outcome == "" {
		return
	}
	span := authSpan{trace: own, outcome: l.intern(outcome)}
	copy(span.id[:], s.GetSpanId())
	l.spans.add(span, l.by.wants)
}

// intern returns a known outcome without the memory of the export that it came with.
func (l *Ledger) intern(outcome string) string {
	if known, ok := outcomes[outcome]; ok {
		return known
	}
	return clip(outcome)
}

var outcomes = map[string]string{
	"success": "success", "missing": "missing", "malformed": "malformed", "failure": "failure", "throttled": "throttled", "error": "error",
}
