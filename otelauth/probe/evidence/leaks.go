// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"fmt"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
	"github.com/otelauth/otelauth-go/otelauth/internal/leak"
)

// leaked is a secret that was found. It belongs to an entry, to a trace, or to the run.
type leaked struct {
	finding Finding
	of      *entry
	trace   traceID
	event   *event // a line that may be correlated later
}

func (l *Ledger) addLeak(k leaked) {
	for i := range l.leaks {
		if l.leaks[i] == k {
			return
		}
	}
	if len(l.leaks) < maxLeaks {
		l.leaks = append(l.leaks, k)
	}
}

func (l *Ledger) leakFinding(signal, where string, f leak.Found) Finding {
	name := fmt.Sprintf("secret %d of the run", f.Secret+1)
	if f.Secret < len(l.cfg.SecretNames) {
		name = l.cfg.SecretNames[f.Secret]
	}
	return Finding{
		Verdict: Leaked, Requirement: NoSecrets, Signal: signal, Field: where, Got: f.Form,
		Detail: fmt.Sprintf("In %s: %s, as %s. Do not record it.", where, name, f.Form),
	}
}

// addLeaks finds the places of secrets that were found in an export.
func (l *Ledger) addLeaks(x *otlpreceiver.Export, found []leak.Found) {
	s := &search{ledger: l}
	switch x.Signal {
	case otlpreceiver.Logs:
		s.logs(x)
	case otlpreceiver.Traces:
		s.spans(x)
	case otlpreceiver.Metrics:
		s.metrics(x)
	}
	if s.hits == 0 {
		for _, f := range found {
			l.addLeak(leaked{finding: l.leakFinding("export", "an export of "+string(x.Signal)+", outside of its attributes", f)})
		}
	}
}

func (l *Ledger) addLineLeaks(r *Record, e *event, found []leak.Found) {
	for _, f := range found {
		where := "a line"
		if r.Line > 0 {
			where = lineOfRun(r.Line)
		}
		l.addLeak(leaked{finding: l.leakFinding("line", where, f), event: e})
	}
}

// search looks for secrets in the parts of an export.
type search struct {
	ledger *Ledger
	hits   int

	signal string
	of     *entry
	trace  traceID
}

func (s *search) text(where, text string) {
	for _, f := range s.ledger.scanner.Scan([]byte(text)) {
		s.hits++
		s.ledger.addLeak(leaked{finding: s.ledger.leakFinding(s.signal, where, f), of: s.of, trace: s.trace})
	}
}

func (s *search) attributes(where string, list []*commonpb.KeyValue) {
	for _, kv := range list {
		s.text("the name of "+where, kv.GetKey())
		if s.ledger.isSecret(kv.GetKey()) {
			continue // the key must not be named
		}
		s.value(where+" "+clip(kv.GetKey()), kv.GetValue(), 0)
	}
}

func (s *search) value(where string, v *commonpb.AnyValue, depth int) {
	if depth > 32 {
		return
	}
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_ArrayValue:
		for _, e := range v.ArrayValue.GetValues() {
			s.value(where, e, depth+1)
		}
	case *commonpb.AnyValue_KvlistValue:
		for _, kv := range v.KvlistValue.GetValues() {
			s.text(where, kv.GetKey())
			s.value(where, kv.GetValue(), depth+1)
		}
	case *commonpb.AnyValue_BytesValue:
		s.text(where, string(v.BytesValue))
	case *commonpb.AnyValue_StringValue:
		s.text(where, v.StringValue)
	}
}

// frame searches a resource and a scope.
func (s *search) frame(r *resourcepb.Resource, scope *commonpb.InstrumentationScope) {
	s.of, s.trace = nil, traceID{}
	s.attributes("the resource attribute", r.GetAttributes())
	s.text("the name of a scope", scope.GetName()+"\x00"+scope.GetVersion())
	s.attributes("the scope attribute", scope.GetAttributes())
}

func (s *search) logs(x *otlpreceiver.Export) {
	s.signal = "event"
	for _, of := range x.Logs.GetResourceLogs() {
		for _, scope := range of.GetScopeLogs() {
			s.frame(of.GetResource(), scope.GetScope())
			for _, r := range scope.GetLogRecords() {
				e := &event{}
				for _, kv := range r.GetAttributes() {
					e.put(kv.GetKey(), otlpreceiver.Text(kv.GetValue()))
				}
				copy(e.trace[:], r.GetTraceId())
				s.of, s.trace = s.ledger.by.find(e), e.trace
				s.text("the name of an event", r.GetEventName()+"\x00"+r.GetSeverityText())
				s.value("the body of an event", r.GetBody(), 0)
				s.attributes("the attribute", r.GetAttributes())
			}
		}
	}
}

func (s *search) spans(x *otlpreceiver.Export) {
	s.signal = "span"
	for _, of := range x.Traces.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			s.frame(of.GetResource(), scope.GetScope())
			for _, span := range scope.GetSpans() {
				s.of, s.trace = nil, traceID{}
				copy(s.trace[:], span.GetTraceId())
				s.text("the name of a span", span.GetName())
				s.text("the trace state", span.GetTraceState())
				s.text("the status of a span", span.GetStatus().GetMessage())
				s.attributes("the attribute", span.GetAttributes())
				for _, e := range span.GetEvents() {
					s.text("the name of a span event", e.GetName())
					s.attributes("the attribute of a span event", e.GetAttributes())
				}
				for _, link := range span.GetLinks() {
					s.text("the trace state of a link", link.GetTraceState())
					s.attributes("the attribute of a link", link.GetAttributes())
				}
			}
		}
	}
}

func (s *search) metrics(x *otlpreceiver.Export) {
	s.signal = "metric"
	for _, of := range x.Metrics.GetResourceMetrics() {
		for _, scope := range of.GetScopeMetrics() {
			s.frame(of.GetResource(), scope.GetScope())
			for _, m := range scope.GetMetrics() {
				s.text("the name of a metric", m.GetName()+"\x00"+m.GetDescription()+"\x00"+m.GetUnit())
				for _, p := range m.GetSum().GetDataPoints() {
					s.attributes("the attribute of "+clip(m.GetName()), p.GetAttributes())
					for _, e := range p.GetExemplars() {
						s.attributes("the exemplar of "+clip(m.GetName()), e.GetFilteredAttributes())
					}
				}
				for _, p := range m.GetGauge().GetDataPoints() {
					s.attributes("the attribute of "+clip(m.GetName()), p.GetAttributes())
				}
				for _, p := range m.GetHistogram().GetDataPoints() {
					s.attributes("the attribute of "+clip(m.GetName()), p.GetAttributes())
				}
			}
		}
	}
}

// isSecret reports whether text holds a secret of the run, which no report may repeat.
func (l *Ledger) isSecret(text string) bool { return len(l.scanner.Scan([]byte(text))) > 0 }

// safe returns text for a report.
func (l *Ledger) safe(text string) string {
	if l.isSecret(text) {
		return "(a secret of the run)"
	}
	return text
}

// judgeLeaks adds each leak to the attempt that it belongs to, and returns the others.
func (l *Ledger) judgeLeaks(judged []Judgement) []Finding {
	if !l.require[NoSecrets] {
		return nil
	}
	var run []Finding
	for _, k := range l.leaks {
		of := k.of
		if k.event != nil {
			of = k.event.of
		}
		for _, known := range []map[traceID]*entry{l.by.event, l.by.sent, l.by.linked} {
			if of == nil && k.trace != (traceID{}) {
				of = known[k.trace]
			}
		}
		if of == nil {
			run = append(run, k.finding)
		} else {
			judged[of.index].add(k.finding)
		}
	}
	return run
}
