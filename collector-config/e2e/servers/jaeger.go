// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package servers

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"time"
)

// JaegerConfig configures a Jaeger. Its zero value keeps traces in memory.
type JaegerConfig struct {
	Badger bool // traces on disk, below Dir/badger
}

// JaegerServer is a running Jaeger 2 in one process.
type JaegerServer struct {
	*Process
	OTLPGRPC string // host:port
	OTLPHTTP string // host:port
	URL      string // http://host:port of the query API and page
}

// StartJaeger starts a Jaeger.
func StartJaeger(t Owner, cfg JaegerConfig) *JaegerServer {
	t.Helper()
	path := found(t, Jaeger)
	dir := t.TempDir()
	addrs := FreeAddrs(t, 5)
	j := &JaegerServer{OTLPGRPC: addrs[0], OTLPHTTP: addrs[1], URL: "http://" + addrs[2]}
	backend := map[string]any{"memory": map[string]any{"max_traces": 1_000_000}}
	if cfg.Badger {
		data := filepath.Join(dir, "badger")
		backend = map[string]any{"badger": map[string]any{
			"directories": map[string]any{"keys": data, "values": data}, "ephemeral": false, "ttl": map[string]any{"spans": "48h"},
			"consistency": true,
		}}
	}
	config := map[string]any{
		"extensions": map[string]any{
			"jaeger_storage": map[string]any{"backends": map[string]any{"traces": backend}},
			"jaeger_query": map[string]any{
				"storage": map[string]any{"traces": "traces"},
				"http":    map[string]any{"endpoint": addrs[2]}, "grpc": map[string]any{"endpoint": addrs[3]},
			},
			"healthcheckv2": map[string]any{"use_v2": true, "http": map[string]any{"endpoint": addrs[4]}},
		},
		"receivers": map[string]any{"otlp": map[string]any{"protocols": map[string]any{
			"grpc": map[string]any{"endpoint": addrs[0]}, "http": map[string]any{"endpoint": addrs[1]},
		}}},
		"exporters": map[string]any{"jaeger_storage_exporter": map[string]any{"trace_storage": "traces"}},
		"service": map[string]any{
			"extensions": []string{"jaeger_storage", "jaeger_query", "healthcheckv2"},
			"pipelines":  map[string]any{"traces": map[string]any{"receivers": []string{"otlp"}, "exporters": []string{"jaeger_storage_exporter"}}},
			"telemetry":  map[string]any{"metrics": map[string]any{"level": "none"}, "logs": map[string]any{"level": "warn"}},
		},
	}
	text, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		t.Fatalf("servers: %v", err)
	}
	file := filepath.Join(dir, "jaeger.yaml")
	writeFile(t, file, text)
	j.Process = Start(t, Program{
		Name: Jaeger, Path: path, Dir: dir, Args: []string{"--config", "file:" + file},
		// otherwise it would trace itself into itself
		Env: []string{"OTEL_TRACES_SAMPLER=always_off"},
		Ready: func() error {
			_, err := j.Services()
			return err
		},
	})
	return j
}

// Services returns the names of the services that have sent spans.
func (j *JaegerServer) Services() ([]string, error) {
	var answer struct{ Data []string }
	err := ask(j.URL+"/api/services", nil, &answer)
	return answer.Data, err
}

// JaegerSpan is a span as Jaeger returns it.
type JaegerSpan struct {
	TraceID   string
	SpanID    string
	ParentID  string
	Operation string
	Service   string
	Tags      map[string]any
	Start     time.Time
	Duration  time.Duration
}

type jaegerTrace struct {
	Spans []struct {
		TraceID, SpanID, OperationName, ProcessID string
		References                                []struct{ RefType, TraceID, SpanID string }
		Tags                                      []struct {
			Key   string
			Value any
		}
		StartTime, Duration int64
	}
	Processes map[string]struct{ ServiceName string }
}

func (tr jaegerTrace) spans() []JaegerSpan {
	spans := make([]JaegerSpan, 0, len(tr.Spans))
	for _, s := range tr.Spans {
		span := JaegerSpan{
			TraceID: s.TraceID, SpanID: s.SpanID, Operation: s.OperationName, Service: tr.Processes[s.ProcessID].ServiceName,
			Tags: make(map[string]any), Start: time.UnixMicro(s.StartTime), Duration: time.Duration(s.Duration) * time.Microsecond,
		}
		for _, r := range s.References {
			if r.RefType == "CHILD_OF" {
				span.ParentID = r.SpanID
			}
		}
		for _, tag := range s.Tags {
			span.Tags[tag.Key] = tag.Value
		}
		spans = append(spans, span)
	}
	return spans
}

// Trace returns the spans of a trace, or an error if Jaeger has none.
func (j *JaegerServer) Trace(traceID string) ([]JaegerSpan, error) {
	var answer struct{ Data []jaegerTrace }
	if err := ask(j.URL+"/api/traces/"+url.PathEscape(traceID), nil, &answer); err != nil {
		return nil, err
	}
	for _, tr := range answer.Data {
		if spans := tr.spans(); len(spans) > 0 {
			return spans, nil
		}
	}
	return nil, errNothing
}

// Search returns the newest traces of a service with all of tags. operation "" matches all
// operations.
func (j *JaegerServer) Search(service, operation string, tags map[string]string, limit int) ([][]JaegerSpan, error) {
	query := url.Values{"service": {service}, "limit": {fmt.Sprint(limit)}, "lookback": {"1h"}}
	if operation != "" {
		query.Set("operation", operation)
	}
	if len(tags) > 0 {
		text, err := json.Marshal(tags)
		if err != nil {
			return nil, err
		}
		query.Set("tags", string(text))
	}
	var answer struct{ Data []jaegerTrace }
	err := ask(j.URL+"/api/traces", query, &answer)
	traces := make([][]JaegerSpan, 0, len(answer.Data))
	for _, tr := range answer.Data {
		traces = append(traces, tr.spans())
	}
	return traces, err
}
