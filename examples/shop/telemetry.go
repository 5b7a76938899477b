// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// propagator carries the trace from service to service.
var propagator = propagation.TraceContext{}

// telemetry holds the providers of one service. Each service has its own, even where three share a
// process, so nothing is global.
type telemetry struct {
	traces *sdktrace.TracerProvider
	meters *sdkmetric.MeterProvider
	logs   *sdklog.LoggerProvider
}

// destination is one place where telemetry goes.
type destination struct {
	traces  sdktrace.SpanProcessor
	metrics sdkmetric.Reader
	logs    sdklog.Processor
}

// flush exports everything that is recorded so far.
func (d destination) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	if r, ok := d.metrics.(interface{ ForceFlush(context.Context) error }); ok {
		err = r.ForceFlush(ctx)
	}
	return errors.Join(err, d.traces.ForceFlush(ctx), d.logs.ForceFlush(ctx))
}

// configured reports whether the environment names a destination for telemetry, with
// OTEL_EXPORTER_OTLP_ENDPOINT or its variants, or with OTEL_TRACES_EXPORTER or its variants.
func configured(environ []string) bool {
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		if value != "" && (strings.HasPrefix(name, "OTEL_EXPORTER_") || strings.HasPrefix(name, "OTEL_") && strings.HasSuffix(name, "_EXPORTER")) {
			return true
		}
	}
	return false
}

// toEnvironment exports to the destination that the standard variables name. By default that is an
// OTLP collector on this host.
func toEnvironment(ctx context.Context) (d destination, err error) {
	traces, errTraces := autoexport.NewSpanExporter(ctx)
	metrics, errMetrics := autoexport.NewMetricReader(ctx)
	logs, errLogs := autoexport.NewLogExporter(ctx)
	if err := errors.Join(errTraces, errMetrics, errLogs); err != nil {
		return d, err
	}
	_, batch := boundedSpans()
	return destination{sdktrace.NewBatchSpanProcessor(traces, sdktrace.WithMaxExportBatchSize(batch)), metrics, sdklog.NewBatchProcessor(logs)}, nil
}

// toView exports over OTLP/HTTP to the receiver at endpoint, which is in this process.
func toView(ctx context.Context, endpoint string) (d destination, err error) {
	traces, errTraces := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint+"/v1/traces"))
	metrics, errMetrics := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(endpoint+"/v1/metrics"))
	logs, errLogs := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(endpoint+"/v1/logs"))
	if err := errors.Join(errTraces, errMetrics, errLogs); err != nil {
		return d, err
	}
	const soon = 200 * time.Millisecond // a person is watching
	_, batch := boundedSpans()
	return destination{
		sdktrace.NewBatchSpanProcessor(traces, sdktrace.WithBatchTimeout(soon), sdktrace.WithMaxExportBatchSize(batch)),
		sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(5*time.Second)),
		sdklog.NewBatchProcessor(logs, sdklog.WithExportInterval(soon)),
	}, nil
}

// newTelemetry returns the providers of a service. It keeps the resource attributes of the
// environment, but sets service.name itself where three services share an environment.
func newTelemetry(ctx context.Context, name string, alone bool, to ...destination) (*telemetry, error) {
	options := []resource.Option{
		resource.WithAttributes(semconv.ServiceName(name), semconv.ServiceNamespace("shop"), semconv.ServiceInstanceID(instance())),
		resource.WithTelemetrySDK(), resource.WithFromEnv(),
	}
	if !alone {
		options = append(options, resource.WithAttributes(semconv.ServiceName(name)))
	}
	res, err := resource.New(ctx, options...)
	if err != nil {
		return nil, err
	}
	limits, _ := boundedSpans()
	traces := []sdktrace.TracerProviderOption{sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(limits)}
	meters := []sdkmetric.Option{sdkmetric.WithResource(res)}
	// the keys of the events are unique
	logs := []sdklog.LoggerProviderOption{sdklog.WithResource(res), sdklog.WithAllowKeyDuplication()}
	for _, d := range to {
		traces = append(traces, sdktrace.WithSpanProcessor(d.traces))
		meters = append(meters, sdkmetric.WithReader(d.metrics))
		logs = append(logs, sdklog.WithProcessor(d.logs))
	}
	return &telemetry{sdktrace.NewTracerProvider(traces...), sdkmetric.NewMeterProvider(meters...), sdklog.NewLoggerProvider(logs...)}, nil
}

// boundedSpans returns the limits of a span and the number of spans in one export. With them no
// client can make an export larger than the 4 MiB that a collector accepts, which would lose the
// spans of all other clients too. The OTEL_ variables take precedence. See
// docs/telemetry-limits.md.
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

// abandon ends the providers without waiting for a collector: nothing has been recorded yet.
func (t *telemetry) abandon() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, _ = t.traces.Shutdown(ctx), t.meters.Shutdown(ctx), t.logs.Shutdown(ctx)
}

// instance distinguishes replicas.
func instance() string {
	if name, err := os.Hostname(); err == nil {
		return name
	}
	return "unknown"
}

// shutdown exports what is left and ends the providers.
func (t *telemetry) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return errors.Join(t.traces.Shutdown(ctx), t.meters.Shutdown(ctx), t.logs.Shutdown(ctx))
}

// quiet is the log of the HTTP servers. A client that does not trust the authority, or that hangs
// up, is not the operator's concern.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
