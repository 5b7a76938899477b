// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// startTelemetry sets the global providers and has every attempt told. Telemetry is exported to where the environment
// says; without a word from it, to the console.
func startTelemetry(ctx context.Context, tell func(story)) (providers, error) {
	start := toConsole
	if configured(os.Environ()) {
		start = toEnvironment
	}
	p, err := start(ctx, tell)
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

// shutdown exports what is left and ends the providers.
func (p providers) shutdown(ctx context.Context) error {
	return errors.Join(p.traces.Shutdown(ctx), p.meters.Shutdown(ctx), p.logs.Shutdown(ctx))
}

// configured reports whether the environment says where telemetry goes: OTEL_EXPORTER_OTLP_ENDPOINT and its
// relatives, or OTEL_TRACES_EXPORTER and its siblings.
func configured(environ []string) bool {
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		if value != "" && (strings.HasPrefix(name, "OTEL_EXPORTER_") || strings.HasPrefix(name, "OTEL_") && strings.HasSuffix(name, "_EXPORTER")) {
			return true
		}
	}
	return false
}

func toConsole(_ context.Context, tell func(story)) (providers, error) {
	reader := sdkmetric.NewManualReader()
	console, err := newConsole(reader, tell)
	if err != nil {
		return providers{}, err
	}
	res := resource.NewSchemaless(semconv.ServiceName("quickstart"))
	limits, _ := boundedSpans()
	return providers{
		traces: sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(limits),
			sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithSyncer(console)),
		meters: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(reader)),
		logs:   newLogs(res, sdklog.NewSimpleProcessor(console)),
	}, nil
}

func toEnvironment(ctx context.Context, tell func(story)) (providers, error) {
	res, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("quickstart")), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return providers{}, err
	}
	spans, errSpans := autoexport.NewSpanExporter(ctx)
	metrics, errMetrics := autoexport.NewMetricReader(ctx)
	logs, errLogs := autoexport.NewLogExporter(ctx)
	if err := errors.Join(errSpans, errMetrics, errLogs); err != nil {
		return providers{}, err
	}
	limits, batch := boundedSpans()
	return providers{
		traces: sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(limits),
			sdktrace.WithBatcher(spans, sdktrace.WithMaxExportBatchSize(batch))),
		meters: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(metrics)),
		logs:   newLogs(res, sdklog.NewBatchProcessor(logs), sdklog.NewSimpleProcessor(rows(tell))),
	}, nil
}

// boundedSpans returns the limits of a span and how many spans one export holds, so that no client can make an export
// larger than a collector accepts (4 MiB): it would refuse the spans of all other clients too. What the OTEL_
// variables say takes precedence. See docs/telemetry-limits.md.
func boundedSpans() (limits sdktrace.SpanLimits, batch int) {
	limits = sdktrace.NewSpanLimits() // reads the environment
	if os.Getenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT") == "" && os.Getenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT") == "" {
		limits.AttributeValueLengthLimit = 512 // characters
	}
	batch, err := strconv.Atoi(os.Getenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"))
	if err != nil || batch <= 0 {
		batch = 128
	}
	return limits, batch
}

// newLogs returns a LoggerProvider that does not look for duplicate keys: it costs a quarter of the log pipeline's time,
// and the keys of otelauth's events are unique.
func newLogs(res *resource.Resource, processors ...sdklog.Processor) *sdklog.LoggerProvider {
	opts := []sdklog.LoggerProviderOption{sdklog.WithResource(res), sdklog.WithAllowKeyDuplication()}
	for _, p := range processors {
		opts = append(opts, sdklog.WithProcessor(p))
	}
	return sdklog.NewLoggerProvider(opts...)
}

// rows is a log exporter that tells the attempts and exports nothing: the rest goes elsewhere.
type rows func(story)

func (tell rows) Export(_ context.Context, records []sdklog.Record) error {
	for i := range records {
		if isAttempt(&records[i]) {
			tell(storyOf(&records[i]))
		}
	}
	return nil
}

func (rows) ForceFlush(context.Context) error { return nil }
func (rows) Shutdown(context.Context) error   { return nil }
