// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otlpview

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"
	logspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// MaxRequestBytes bounds a request, uncompressed.
const MaxRequestBytes = 16 << 20

// ServeHTTP receives /v1/traces, /v1/metrics and /v1/logs, in protobuf, with or without gzip.
func (v *View) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		http.Error(w, "OTLP requires POST", http.StatusMethodNotAllowed)
		return
	}
	if t := r.Header.Get("Content-Type"); t != "application/x-protobuf" {
		http.Error(w, "set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", http.StatusUnsupportedMediaType)
		return
	}
	body, err := read(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := v.take(r.URL.Path, body)
	switch {
	case errors.Is(err, errNoSignal):
		http.NotFound(w, r)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(answer)
	}
}

func read(r *http.Request) ([]byte, error) {
	in := io.Reader(r.Body)
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
	case "gzip":
		unzipped, err := gzip.NewReader(io.LimitReader(r.Body, MaxRequestBytes))
		if err != nil {
			return nil, fmt.Errorf("otlpview: %w", err)
		}
		in = unzipped
	default:
		return nil, errors.New("otlpview: the compression is not gzip")
	}
	body, err := io.ReadAll(io.LimitReader(in, MaxRequestBytes+1))
	if err != nil {
		return nil, fmt.Errorf("otlpview: %w", err)
	}
	if len(body) > MaxRequestBytes {
		return nil, fmt.Errorf("otlpview: the request has more than %d bytes", MaxRequestBytes)
	}
	return body, nil
}

var errNoSignal = errors.New("otlpview: the path belongs to no signal")

// take decodes one request, keeps its items, and returns the response message.
func (v *View) take(path string, body []byte) ([]byte, error) {
	var (
		in, out proto.Message
		keep    func()
	)
	switch path {
	case "/v1/traces":
		request := new(tracepb.ExportTraceServiceRequest)
		in, out, keep = request, new(tracepb.ExportTraceServiceResponse), func() { v.addSpans(request) }
	case "/v1/metrics":
		request := new(metricspb.ExportMetricsServiceRequest)
		in, out, keep = request, new(metricspb.ExportMetricsServiceResponse), func() { v.addExemplars(request) }
	case "/v1/logs":
		request := new(logspb.ExportLogsServiceRequest)
		in, out, keep = request, new(logspb.ExportLogsServiceResponse), func() { v.addEvents(request) }
	default:
		return nil, errNoSignal
	}
	if err := proto.Unmarshal(body, in); err != nil {
		return nil, fmt.Errorf("otlpview: %w", err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.onRequest != nil {
		v.onRequest(path, body)
	}
	keep()
	v.spans, v.events, v.exemplars = latest(v.spans), latest(v.events), latest(v.exemplars)
	close(v.changed)
	v.changed = make(chan struct{})
	return proto.Marshal(out)
}

func (v *View) addSpans(request *tracepb.ExportTraceServiceRequest) {
	for _, of := range request.GetResourceSpans() {
		service := nameOf(of.GetResource())
		for _, scope := range of.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := Span{
					Service: service, Name: s.GetName(), Kind: trace.SpanKind(s.GetKind()),
					Start: at(s.GetStartTimeUnixNano()), End: at(s.GetEndTimeUnixNano()),
					Failed:     s.GetStatus().GetCode() == traces.Status_STATUS_CODE_ERROR,
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

func (v *View) addEvents(request *logspb.ExportLogsServiceRequest) {
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

func (v *View) addExemplars(request *metricspb.ExportMetricsServiceRequest) {
	for _, of := range request.GetResourceMetrics() {
		service := nameOf(of.GetResource())
		for _, scope := range of.GetScopeMetrics() {
			for _, m := range scope.GetMetrics() {
				add := func(point Exemplar, exemplars []*metrics.Exemplar) {
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
