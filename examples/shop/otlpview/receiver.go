// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otlpview

import (
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
)

// ServeHTTP receives /v1/traces, /v1/metrics and /v1/logs.
func (v *View) ServeHTTP(w http.ResponseWriter, r *http.Request) { v.receiver.ServeHTTP(w, r) }

// take keeps the items of one request. The error is always nil.
func (v *View) take(e *otlpreceiver.Export) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.onRequest != nil {
		v.onRequest("/v1/"+string(e.Signal), e.Body)
	}
	v.addSpans(e.Traces)
	v.addEvents(e.Logs)
	v.addExemplars(e.Metrics)
	v.spans, v.events, v.exemplars = latest(v.spans), latest(v.events), latest(v.exemplars)
	close(v.changed)
	v.changed = make(chan struct{})
	return nil
}

func (v *View) addSpans(request *tracepb.TracesData) {
	for _, of := range request.GetResourceSpans() {
		service := nameOf(of.GetResource())
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := Span{
					Service: service, Name: s.GetName(), Kind: trace.SpanKind(s.GetKind()),
					Start: at(s.GetStartTimeUnixNano()), End: at(s.GetEndTimeUnixNano()),
					Failed:     s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR,
					Attributes: attributesOf(s.GetAttributes()),
				}
				copy(span.TraceID[:], s.GetTraceId())
				copy(span.ID[:], s.GetSpanId())
				copy(span.Parent[:], s.GetParentSpanId())
				for _, l := range s.GetLinks() {
					span.Links = append(span.Links, idOf(l.GetTraceId()))
				}
				v.spans = append(v.spans, span)
			}
		}
	}
}

func (v *View) addEvents(request *logspb.LogsData) {
	for _, of := range request.GetResourceLogs() {
		service := nameOf(of.GetResource())
		for _, scope := range of.GetScopeLogs() {
			for _, r := range scope.GetLogRecords() {
				event := Event{
					Service: service, Name: r.GetEventName(), Severity: severityOf(int(r.GetSeverityNumber())),
					Time: at(r.GetTimeUnixNano()), TraceID: idOf(r.GetTraceId()), Attributes: attributesOf(r.GetAttributes()),
				}
				copy(event.SpanID[:], r.GetSpanId())
				v.events = append(v.events, event)
				if v.onEvent != nil {
					v.onEvent(event)
				}
			}
		}
	}
}

func (v *View) addExemplars(request *metricspb.MetricsData) {
	for _, of := range request.GetResourceMetrics() {
		service := nameOf(of.GetResource())
		for _, scope := range of.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				add := func(point Exemplar, exemplars []*metricspb.Exemplar) {
					for _, e := range exemplars {
						point.Value, point.TraceID = e.GetAsDouble()+float64(e.GetAsInt()), idOf(e.GetTraceId())
						copy(point.SpanID[:], e.GetSpanId())
						v.exemplars = append(v.exemplars, point)
					}
				}
				for _, p := range m.GetSum().GetDataPoints() {
					add(Exemplar{
						Service: service, Metric: m.GetName(), Attributes: attributesOf(p.GetAttributes()),
						Total: p.GetAsDouble() + float64(p.GetAsInt()),
					}, p.GetExemplars())
				}
				for _, p := range m.GetHistogram().GetDataPoints() {
					add(Exemplar{
						Service: service, Metric: m.GetName(), Attributes: attributesOf(p.GetAttributes()), Total: float64(p.GetCount()),
					}, p.GetExemplars())
				}
			}
		}
	}
}

func nameOf(r *resource.Resource) string { return attributesOf(r.GetAttributes())["service.name"] }

func at(unixNano uint64) time.Time { return time.Unix(0, int64(unixNano)) }

// idOf returns the trace id, or the zero id if the bytes are not one.
func idOf(raw []byte) (id trace.TraceID) {
	if len(raw) == len(id) {
		copy(id[:], raw)
	}
	return id
}

// severityOf returns the short name of the range that a severity number is in.
func severityOf(number int) string {
	names := strings.Fields("TRACE DEBUG INFO WARN ERROR FATAL")
	if number < 1 || number > 4*len(names) {
		return "-"
	}
	return names[(number-1)/4]
}
