// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"context"
	"errors"
	"sync/atomic"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// Telemetry is the OpenTelemetry SDK as a service runs it, with batch processors. Its exporters
// count and discard, because the cost of a network belongs to neither side.
type Telemetry struct {
	Tracers *sdktrace.TracerProvider
	Meters  *sdkmetric.MeterProvider
	Loggers *sdklog.LoggerProvider
	// Spans and Events count what arrived at the exporters. A processor with a full queue drops,
	// and what is dropped costs less.
	Spans, Events *atomic.Int64
}

// NewTelemetry starts the SDK. It samples every trace if sampled is true, and none otherwise.
func NewTelemetry(sampled bool) *Telemetry {
	t := &Telemetry{Spans: new(atomic.Int64), Events: new(atomic.Int64)}
	sampler := sdktrace.NeverSample()
	if sampled {
		sampler = sdktrace.AlwaysSample()
	}
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueLengthLimit = 512 // as in docs/telemetry-limits.md
	t.Tracers = sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler), sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithBatcher(spanCounter{t.Spans}, sdktrace.WithMaxExportBatchSize(128)))
	t.Meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
	// Without AllowKeyDuplication the SDK looks for duplicate keys in every record, although ours
	// are unique.
	t.Loggers = sdklog.NewLoggerProvider(sdklog.WithAllowKeyDuplication(),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(eventCounter{t.Events})))
	return t
}

// OTelHTTP returns the options of otelhttp for this SDK.
func (t *Telemetry) OTelHTTP() []otelhttp.Option {
	return []otelhttp.Option{
		otelhttp.WithTracerProvider(t.Tracers), otelhttp.WithMeterProvider(t.Meters), otelhttp.WithServerName("compare.example:443"),
	}
}

// Flush waits until everything has reached the exporters.
func (t *Telemetry) Flush() error {
	ctx := context.Background()
	return errors.Join(t.Tracers.ForceFlush(ctx), t.Loggers.ForceFlush(ctx))
}

// Shutdown ends the SDK.
func (t *Telemetry) Shutdown() error {
	ctx := context.Background()
	return errors.Join(t.Tracers.Shutdown(ctx), t.Meters.Shutdown(ctx), t.Loggers.Shutdown(ctx))
}

type spanCounter struct{ n *atomic.Int64 }

func (c spanCounter) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	c.n.Add(int64(len(spans)))
	return nil
}
func (spanCounter) Shutdown(context.Context) error { return nil }

type eventCounter struct{ n *atomic.Int64 }

func (c eventCounter) Export(_ context.Context, records []sdklog.Record) error {
	c.n.Add(int64(len(records)))
	return nil
}
func (eventCounter) Shutdown(context.Context) error   { return nil }
func (eventCounter) ForceFlush(context.Context) error { return nil }
