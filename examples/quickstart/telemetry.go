// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/otelauth/otelauth-go/examples/internal/otelenv"
)

// startTelemetry sets the global providers and calls report for every attempt. The OTEL_ variables
// select the exporters; without them telemetry goes to the console.
func startTelemetry(ctx context.Context, report func(story)) (providers, error) {
	start := toConsole
	if otelenv.IsConfigured(os.Environ()) {
		start = toEnvironment
	}
	p, err := start(ctx, report)
	if err != nil {
		return providers{}, err
	}
	otel.SetTracerProvider(p.traces)
	otel.SetMeterProvider(p.meters)
	otel.SetLoggerProvider(p.logs)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return p, nil
}

type providers struct {
	traces *sdktrace.TracerProvider
	meters *sdkmetric.MeterProvider
	logs   *sdklog.LoggerProvider
}

// shutdown exports pending telemetry and shuts down the providers.
func (p providers) shutdown(ctx context.Context) error {
	return errors.Join(p.traces.Shutdown(ctx), p.meters.Shutdown(ctx), p.logs.Shutdown(ctx))
}

func toConsole(_ context.Context, report func(story)) (providers, error) {
	reader := sdkmetric.NewManualReader()
	console, err := newConsole(reader, report)
	if err != nil {
		return providers{}, err
	}
	res := resource.NewSchemaless(semconv.ServiceName("quickstart"))
	limits, _ := otelenv.BoundedSpans()
	return providers{
		traces: sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(limits),
			sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithSyncer(console)),
		meters: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(reader)),
		logs:   newLogs(res, sdklog.NewSimpleProcessor(console)),
	}, nil
}

func toEnvironment(ctx context.Context, report func(story)) (providers, error) {
	res, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("quickstart")), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return providers{}, err
	}
	exporters, err := otelenv.NewExporters(ctx)
	if err != nil {
		return providers{}, err
	}
	limits, batch := otelenv.BoundedSpans()
	return providers{
		traces: sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(limits),
			sdktrace.WithBatcher(exporters.Spans, sdktrace.WithMaxExportBatchSize(batch))),
		meters: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(exporters.Metrics)),
		logs:   newLogs(res, sdklog.NewBatchProcessor(exporters.Logs), sdklog.NewSimpleProcessor(rows(report))),
	}, nil
}

// newLogs returns a LoggerProvider without a check for duplicate keys. The check takes a quarter
// of the time of the log pipeline, and the keys of otelauth's events are unique.
func newLogs(res *resource.Resource, processors ...sdklog.Processor) *sdklog.LoggerProvider {
	opts := []sdklog.LoggerProviderOption{sdklog.WithResource(res), sdklog.WithAllowKeyDuplication()}
	for _, p := range processors {
		opts = append(opts, sdklog.WithProcessor(p))
	}
	return sdklog.NewLoggerProvider(opts...)
}

// rows is a log exporter that reports attempts and exports nothing.
type rows func(story)

func (report rows) Export(_ context.Context, records []sdklog.Record) error {
	for i := range records {
		if isAttempt(&records[i]) {
			report(storyOf(&records[i]))
		}
	}
	return nil
}

func (rows) ForceFlush(context.Context) error { return nil }
func (rows) Shutdown(context.Context) error   { return nil }
