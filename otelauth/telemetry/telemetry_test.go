// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/telemetry"
)

// The tests are not parallel, because they set variables and the global providers.

func TestMain(m *testing.M) {
	testkit.Unset("OTEL_")
	os.Exit(m.Run())
}

// collector keeps what an OTLP/HTTP collector would receive, by path.
type collector struct {
	mu     sync.Mutex
	bodies map[string][]byte
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bodies[r.URL.Path] = append(c.bodies[r.URL.Path], body...)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (c *collector) paths() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.bodies))
}

// emit records one span, one measurement and one event with the providers of p, or with the global
// ones.
func emit(t *testing.T, p *telemetry.Providers) {
	t.Helper()
	traces, meters, logs := otel.GetTracerProvider(), otel.GetMeterProvider(), otel.GetLoggerProvider()
	if p != nil {
		traces, meters, logs = p.TracerProvider, p.MeterProvider, p.LoggerProvider
	}
	ctx, span := traces.Tracer("test").Start(t.Context(), "span")
	span.SetAttributes(attribute.String("long", strings.Repeat("x", 1000)))
	if !span.SpanContext().TraceID().IsValid() {
		t.Error("the span has no trace id")
	}
	counter, err := meters.Meter("test").Int64Counter("counter")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(ctx, 1)
	var r log.Record
	r.SetEventName("test.event")
	logs.Logger("test").Emit(ctx, r)
	span.End()
}

func TestStart(t *testing.T) {
	c := &collector{bodies: make(map[string][]byte)}
	server := httptest.NewServer(c)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	p, err := telemetry.Start(t.Context(), "orders")
	if err != nil {
		t.Fatal(err)
	}
	emit(t, nil)
	if fields := otel.GetTextMapPropagator().Fields(); !slices.Contains(fields, "traceparent") || !slices.Contains(fields, "baggage") {
		t.Errorf("the global propagator has the fields %q", fields)
	}
	if err := p.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if got := c.paths(); !slices.Equal(got, []string{"/v1/logs", "/v1/metrics", "/v1/traces"}) {
		t.Errorf("the collector received %q", got)
	}
	for path, body := range c.bodies {
		if !bytes.Contains(body, []byte("orders")) {
			t.Errorf("%s does not hold service.name", path)
		}
	}
	if spans := c.bodies["/v1/traces"]; bytes.Contains(spans, bytes.Repeat([]byte("x"), 513)) || !bytes.Contains(spans, bytes.Repeat([]byte("x"), 512)) {
		t.Error("attribute values of spans are not cut at 512 characters")
	}
}

// TestWithoutExporters: events are lines and nothing is sent to localhost.
func TestWithoutExporters(t *testing.T) {
	var lines bytes.Buffer
	p, err := telemetry.New(t.Context(), telemetry.Config{Service: "orders", Lines: &lines})
	if err != nil {
		t.Fatal(err)
	}
	emit(t, p)
	if err := errors.Join(p.ForceFlush(t.Context()), p.Shutdown(t.Context())); err != nil {
		t.Error(err)
	}
	if text := lines.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, `"msg":"test.event"`) || !strings.Contains(text, `"trace_id":`) {
		t.Errorf("the lines are %q", text)
	}
	if telemetry.HasExporter() {
		t.Error("an exporter is configured")
	}
}

// TestOneSignal: a variable of one signal leaves the others as they are.
func TestOneSignal(t *testing.T) {
	c := &collector{bodies: make(map[string][]byte)}
	server := httptest.NewServer(c)
	defer server.Close()
	for _, test := range []struct {
		name, value string
		want        []string
		lines       int
	}{
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.URL + "/v1/traces", []string{"/v1/traces"}, 1},
		{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", server.URL + "/v1/metrics", []string{"/v1/metrics"}, 1},
		{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", server.URL + "/v1/logs", []string{"/v1/logs"}, 0},
		{"OTEL_LOGS_EXPORTER", "none", nil, 0},
		{"OTEL_SDK_DISABLED", "true", nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(test.name, test.value)
			clear(c.bodies)
			var lines bytes.Buffer
			p, err := telemetry.New(t.Context(), telemetry.Config{Service: "orders", Lines: &lines})
			if err != nil {
				t.Fatal(err)
			}
			if p.Disabled != (test.name == "OTEL_SDK_DISABLED") {
				t.Errorf("disabled: %t", p.Disabled)
			}
			if !p.Disabled {
				emit(t, p)
			}
			if err := p.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if got := c.paths(); !slices.Equal(got, test.want) {
				t.Errorf("the collector received %q, want %q", got, test.want)
			}
			if n := strings.Count(lines.String(), "\n"); n != test.lines {
				t.Errorf("%d lines, want %d", n, test.lines)
			}
		})
	}
}

// TestGetenv: what Getenv denies is not started, even if the environment asks for it.
func TestGetenv(t *testing.T) {
	t.Setenv("OTEL_METRICS_EXPORTER", "prometheus")
	t.Setenv("OTEL_EXPORTER_PROMETHEUS_HOST", "not an address")
	for value, fails := range map[string]bool{"prometheus": true, "none": false} {
		p, err := telemetry.New(t.Context(), telemetry.Config{Lines: io.Discard, Getenv: func(name string) string {
			if name == "OTEL_METRICS_EXPORTER" {
				return value
			}
			return ""
		}})
		if (err != nil) != fails {
			t.Errorf("%s: %v", value, err)
		}
		if err == nil {
			_ = p.Shutdown(t.Context())
		}
	}
}

// TestBadVariables: errors say what to do and hold no password.
func TestBadVariables(t *testing.T) {
	for name, value := range map[string]string{
		"OTEL_TRACES_EXPORTER":     "http://u:canary@h",
		"OTEL_LOGS_EXPORTER":       "zipkin",
		"OTEL_RESOURCE_ATTRIBUTES": "no pair",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, value)
			p, err := telemetry.New(t.Context(), telemetry.Config{Service: "orders", Lines: io.Discard})
			if err == nil {
				_ = p.Shutdown(t.Context())
				if name != "OTEL_RESOURCE_ATTRIBUTES" {
					t.Error("no error")
				}
				return
			}
			if text := err.Error(); !strings.HasPrefix(text, "telemetry: ") || !strings.Contains(text, "OTEL_") || strings.Contains(text, "canary") {
				t.Error(text)
			}
		})
	}
}

// broken is an exporter whose collector does not answer.
type broken struct{ sdklog.Exporter }

func (broken) Shutdown(ctx context.Context) error {
	<-ctx.Done()
	return errors.New("http://u:canary@h: no answer")
}

// TestShutdownIsBounded: an exporter that hangs takes no more than ctx allows.
func TestShutdownIsBounded(t *testing.T) {
	p, err := telemetry.New(t.Context(), telemetry.Config{
		Lines: io.Discard, LogProcessors: []sdklog.Processor{sdklog.NewSimpleProcessor(broken{telemetry.NewLineExporter(io.Discard)})},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = p.Shutdown(ctx)
	if err == nil || !strings.HasPrefix(err.Error(), "telemetry: ") || strings.Contains(err.Error(), "canary") {
		t.Error(err)
	}
}

// TestSpanLimits: the variables take precedence over the limits.
func TestSpanLimits(t *testing.T) {
	if limits, batch := telemetry.SpanLimits(); limits.AttributeValueLengthLimit != 512 || batch != 128 {
		t.Errorf("%d characters, %d spans; want 512 and 128", limits.AttributeValueLengthLimit, batch)
	}
	t.Setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "700")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "9")
	if limits, batch := telemetry.SpanLimits(); limits.AttributeValueLengthLimit != 700 || batch != 9 {
		t.Errorf("%d characters, %d spans; want 700 and 9", limits.AttributeValueLengthLimit, batch)
	}
}

func TestHasExporter(t *testing.T) {
	for v, want := range map[string]bool{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318": true,
		"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=http://x":         true,
		"OTEL_METRICS_EXPORTER=prometheus":                  true,
		"OTEL_METRICS_EXPORTER=none":                        false,
		"OTEL_TRACES_EXPORTER=":                             false,
		"OTEL_SERVICE_NAME=orders":                          false,
	} {
		t.Run(v, func(t *testing.T) {
			name, value, _ := strings.Cut(v, "=")
			t.Setenv(name, value)
			if got := telemetry.HasExporter(); got != want {
				t.Errorf("HasExporter is %t", got)
			}
		})
	}
}

func TestExporter(t *testing.T) {
	t.Parallel()
	env := map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x", "OTEL_METRICS_EXPORTER": "prometheus"}
	getenv := func(name string) string { return env[name] }
	for signal, want := range map[string]string{"traces": "otlp", "metrics": "prometheus", "logs": "lines"} {
		if got := telemetry.Exporter(getenv, signal); got != want {
			t.Errorf("%s go to %s, want %s", signal, got, want)
		}
	}
	env["OTEL_LOGS_EXPORTER"] = "none"
	if got := telemetry.Exporter(getenv, "logs"); got != "none" {
		t.Errorf("logs go to %s, want none", got)
	}
}

// TestHandleErrors: the same error is one line, without its password.
func TestHandleErrors(t *testing.T) {
	var lines bytes.Buffer
	telemetry.HandleErrors(&lines)
	before := telemetry.Errors().Count // those of other tests
	for range 3 {
		otel.Handle(errors.New("http://u:canary@h: connection refused"))
	}
	if e := telemetry.Errors(); e.Count != before+3 || e.Last.IsZero() || !strings.Contains(e.Text, "connection refused") || strings.Contains(e.Text, "canary") {
		t.Errorf("%+v", e)
	}
	if text := lines.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "connection refused") || strings.Contains(text, "canary") {
		t.Error(text)
	}
}
