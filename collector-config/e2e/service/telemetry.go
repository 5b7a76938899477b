// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

type telemetry struct {
	traces *sdktrace.TracerProvider
	meters *sdkmetric.MeterProvider
	logs   *sdklog.LoggerProvider
}

// observing serialises the set-up of services in one process: the SDK's own metrics go to the
// provider that is global when processors and exporters are created.
var observing sync.Mutex

func startTelemetry(cfg Config, b *books) (*telemetry, error) {
	ctx := context.Background()
	header := map[string]string{"Authorization": "Bearer " + cfg.Token}
	res := resource.NewSchemaless(
		semconv.ServiceNamespace(Namespace), semconv.ServiceName(cfg.Name), semconv.ServiceInstanceID(rand.Text()))
	timeout := max(cfg.GiveUp, time.Second)

	observing.Lock()
	defer observing.Unlock()
	if err := os.Setenv("OTEL_GO_X_OBSERVABILITY", "true"); err != nil {
		return nil, err
	}
	// Failed exports are what the tests are about; the SDK would print them.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))

	metrics, err := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(cfg.Collector+"/v1/metrics"), otlpmetrichttp.WithHeaders(header),
		otlpmetrichttp.WithTimeout(timeout), otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{Enabled: true, InitialInterval: 100 * time.Millisecond, MaxInterval: time.Second, MaxElapsedTime: cfg.GiveUp}))
	if err != nil {
		return nil, err
	}
	t := &telemetry{meters: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res),
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(cfg.Interval), sdkmetric.WithTimeout(timeout))))}
	otel.SetMeterProvider(t.meters)

	spans, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(cfg.Collector+"/v1/traces"), otlptracehttp.WithHeaders(header),
		otlptracehttp.WithTimeout(timeout), otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: true, InitialInterval: 100 * time.Millisecond, MaxInterval: time.Second, MaxElapsedTime: cfg.GiveUp}))
	if err != nil {
		return nil, errors.Join(err, t.meters.Shutdown(ctx))
	}
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueLengthLimit = 512 // as in docs/telemetry-limits.md
	t.traces = sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.AlwaysSample()),
		sdktrace.WithRawSpanLimits(limits), sdktrace.WithBatcher(spans, sdktrace.WithMaxExportBatchSize(128),
			sdktrace.WithMaxQueueSize(cfg.Queue), sdktrace.WithBatchTimeout(cfg.Delay)))

	logs, err := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(cfg.Collector+"/v1/logs"), otlploghttp.WithHeaders(header),
		otlploghttp.WithTimeout(timeout), otlploghttp.WithCompression(otlploghttp.GzipCompression),
		otlploghttp.WithRetry(otlploghttp.RetryConfig{Enabled: true, InitialInterval: 100 * time.Millisecond, MaxInterval: time.Second, MaxElapsedTime: cfg.GiveUp}))
	if err != nil {
		return nil, errors.Join(err, t.traces.Shutdown(ctx), t.meters.Shutdown(ctx))
	}
	t.logs = sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithAllowKeyDuplication(),
		sdklog.WithProcessor(bookkeeper{b}),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(acknowledging{logs, b},
			sdklog.WithMaxQueueSize(cfg.Queue), sdklog.WithExportInterval(cfg.Delay))))
	return t, nil
}

func (t *telemetry) flush(ctx context.Context) error {
	return errors.Join(t.traces.ForceFlush(ctx), t.logs.ForceFlush(ctx), t.meters.ForceFlush(ctx))
}

func (t *telemetry) shutdown(ctx context.Context) error {
	return errors.Join(t.traces.Shutdown(ctx), t.logs.Shutdown(ctx), t.meters.Shutdown(ctx))
}

const attemptEvent = "auth.attempt"

// bookkeeper is a processor that records which events were made.
type bookkeeper struct{ *books }

func (b bookkeeper) OnEmit(_ context.Context, record *sdklog.Record) error {
	if record.EventName() == attemptEvent && record.TraceID().IsValid() {
		b.mu.Lock()
		b.made[record.TraceID().String()] = struct{}{}
		b.mu.Unlock()
	}
	return nil
}

func (bookkeeper) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (bookkeeper) ForceFlush(context.Context) error                       { return nil }
func (bookkeeper) Shutdown(context.Context) error                         { return nil }

// acknowledging is an exporter that records which events the collector has accepted.
type acknowledging struct {
	sdklog.Exporter
	*books
}

func (a acknowledging) Export(ctx context.Context, records []sdklog.Record) error {
	err := a.Exporter.Export(ctx, records)
	a.mu.Lock()
	defer a.mu.Unlock()
	page := a.acknowledged
	if err != nil {
		page = a.givenUp
	}
	for i := range records {
		if r := &records[i]; r.EventName() == attemptEvent && r.TraceID().IsValid() {
			page[r.TraceID().String()] = struct{}{}
		}
	}
	return err
}
