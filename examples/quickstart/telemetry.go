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

	"github.com/otelauth/otelauth-go/otelauth/telemetry"
)

// startTelemetry sets the global providers and calls report for every attempt. The OTEL_ variables
// select the exporters; without them telemetry goes to the console.
func startTelemetry(ctx context.Context, report func(story)) (*providers, error) {
	if !telemetry.HasExporter() {
		return toConsole(report), nil
	}
	telemetry.HandleErrors(os.Stderr)
	p, err := telemetry.New(ctx, telemetry.Config{
		Service: "quickstart", LogProcessors: []sdklog.Processor{sdklog.NewSimpleProcessor(rows(report))},
	})
	if err != nil {
		return nil, err
	}
	p.SetGlobal()
	return &providers{flush: p.ForceFlush, shutdown: p.Shutdown}, nil
}

// providers are the running providers. flush exports what is pending; shutdown also ends them.
type providers struct {
	flush, shutdown func(context.Context) error
}

// toConsole reports each attempt as soon as its trace ends.
func toConsole(report func(story)) *providers {
	reader := sdkmetric.NewManualReader()
	console := newConsole(reader, report)
	res := resource.NewSchemaless(semconv.ServiceName("quickstart"))
	limits, _ := telemetry.SpanLimits()
	traces := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithSyncer(console))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(reader))
	logs := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(sdklog.NewSimpleProcessor(console)), sdklog.WithAllowKeyDuplication())
	otel.SetTracerProvider(traces)
	otel.SetMeterProvider(meters)
	otel.SetLoggerProvider(logs)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return &providers{
		flush: meters.ForceFlush,
		shutdown: func(ctx context.Context) error {
			return errors.Join(traces.Shutdown(ctx), meters.Shutdown(ctx), logs.Shutdown(ctx))
		},
	}
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
