// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otlpserver_test

import (
	"net"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
	"github.com/otelauth/otelauth-go/internal/otlpreceiver/otlpserver"
)

type inbox struct {
	mu  sync.Mutex
	got map[otlpreceiver.Signal][]byte
}

func (i *inbox) take(e *otlpreceiver.Export) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.got == nil {
		i.got = map[otlpreceiver.Signal][]byte{}
	}
	i.got[e.Signal] = append(i.got[e.Signal], e.Body...)
	return nil
}

// TestGRPC receives what the real exporters send over gRPC, with gzip.
func TestGRPC(t *testing.T) {
	t.Parallel()
	in := &inbox{}
	s, err := otlpserver.Listen(t.Context(), otlpserver.Config{Receiver: otlpreceiver.New(otlpreceiver.Config{Sink: in.take}), GRPC: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if s.HTTP != "" {
		t.Errorf("OTLP/HTTP listens on %s", s.HTTP)
	}
	ctx := t.Context()
	spans, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(s.GRPC), otlptracegrpc.WithInsecure(), otlptracegrpc.WithCompressor("gzip"))
	if err != nil {
		t.Fatal(err)
	}
	points, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpoint(s.GRPC), otlpmetricgrpc.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	logs, err := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(s.GRPC), otlploggrpc.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(points)))
	loggers := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(logs)))
	_, span := traces.Tracer("test").Start(ctx, "a span that is sent")
	span.End()
	counter, err := meters.Meter("test").Int64Counter("a.counter.that.is.sent")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(ctx, 1)
	var rec log.Record
	rec.SetBody(attribute.StringValue("a record that is sent"))
	loggers.Logger("test").Emit(ctx, rec)
	for _, shutdown := range []error{traces.Shutdown(ctx), meters.Shutdown(ctx), loggers.Shutdown(ctx)} {
		if shutdown != nil {
			t.Error(shutdown)
		}
	}
	for signal, text := range map[otlpreceiver.Signal]string{
		otlpreceiver.Traces: "a span that is sent", otlpreceiver.Metrics: "a.counter.that.is.sent", otlpreceiver.Logs: "a record that is sent",
	} {
		if !strings.Contains(string(in.got[signal]), text) {
			t.Errorf("%s: %q did not arrive", signal, text)
		}
	}
}

// TestLargeMessage sends more than the receiver takes: it counts what it did not see.
func TestLargeMessage(t *testing.T) {
	t.Parallel()
	in := &inbox{}
	r := otlpreceiver.New(otlpreceiver.Config{Sink: in.take, Limits: otlpreceiver.Limits{RequestBytes: 1024}})
	s, err := otlpserver.Listen(t.Context(), otlpserver.Config{Receiver: r, GRPC: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	spans, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(s.GRPC), otlptracegrpc.WithInsecure(), otlptracegrpc.WithCompressor("gzip"),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))
	if err != nil {
		t.Fatal(err)
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	_, span := traces.Tracer("test").Start(ctx, strings.Repeat("a long name ", 1000))
	span.End()
	_ = traces.Shutdown(ctx)
	_ = s.Close()
	if len(in.got) != 0 || r.Refused() == 0 {
		t.Errorf("%d exports arrived, %d are counted as refused", len(in.got), r.Refused())
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	r := otlpreceiver.New(otlpreceiver.Config{Sink: (&inbox{}).take})
	for _, cfg := range []otlpserver.Config{
		{Receiver: r, GRPC: taken.Addr().String()},
		{Receiver: r, GRPC: "127.0.0.1:0", HTTP: taken.Addr().String()},
	} {
		_, err := otlpserver.Listen(t.Context(), cfg)
		if err == nil {
			t.Fatal("two programs listen on one port")
		}
		for _, part := range []string{taken.Addr().String(), "another program listens there", "choose another port"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
	}
	if _, err := otlpserver.Listen(t.Context(), otlpserver.Config{Receiver: r, HTTP: "nowhere"}); err == nil || !strings.Contains(err.Error(), "use host:port") {
		t.Errorf("%v", err)
	}
}
