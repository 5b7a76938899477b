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

// telemetry is where one service tells what happens. Each has its own, also where three are one
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

// flush exports what there is.
func (d destination) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var err error
	if r, ok := d.metrics.(interface{ ForceFlush(context.Context) error }); ok {
		err = r.ForceFlush(ctx)
	}
	return errors.Join(err, d.traces.ForceFlush(ctx), d.logs.ForceFlush(ctx))
}

// configured reports whether the environment says where telemetry goes:
// OTEL_EXPORTER_OTLP_ENDPOINT and its relatives, or OTEL_TRACES_EXPORTER and its siblings.
func configured(environ []string) bool {
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		if value != "" && (strings.HasPrefix(name, "OTEL_EXPORTER_") || strings.HasPrefix(name, "OTEL_") && strings.HasSuffix(name, "_EXPORTER")) {
			return true
		}
	}
	return false
}

// toEnvironment exports to where the standard variables say; without a word from them to an OTLP
// collector on this host.
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
	const soon = 200 * time.Millisecond // somebody is watching
	_, batch := boundedSpans()
	return destination{
		sdktrace.NewBatchSpanProcessor(traces, sdktrace.WithBatchTimeout(soon), sdktrace.WithMaxExportBatchSize(batch)),
		sdkmetric.NewPeriodicReader(metrics, sdkmetric.WithInterval(5*time.Second)),
		sdklog.NewBatchProcessor(logs, sdklog.WithExportInterval(soon)),
	}, nil
}

// newTelemetry returns the providers of a service. What the environment says of the resource is
// kept; service.name is ours where three services have one environment.
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
	logs := []sdklog.LoggerProviderOption{sdklog.WithResource(res), sdklog.WithAllowKeyDuplication()} // the keys of the events are unique
	for _, d := range to {
		traces = append(traces, sdktrace.WithSpanProcessor(d.traces))
		meters = append(meters, sdkmetric.WithReader(d.metrics))
		logs = append(logs, sdklog.WithProcessor(d.logs))
	}
	return &telemetry{sdktrace.NewTracerProvider(traces...), sdkmetric.NewMeterProvider(meters...), sdklog.NewLoggerProvider(logs...)}, nil
}

// boundedSpans returns the limits of a span and how many spans one export holds, so that no client
// can make an export larger than a collector accepts (4 MiB): it would refuse the spans of all
// other clients too. What the OTEL_ variables say takes precedence. See docs/telemetry-limits.md.
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

// abandon ends the providers without waiting for a collector: nothing has happened yet.
func (t *telemetry) abandon() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, _ = t.traces.Shutdown(ctx), t.meters.Shutdown(ctx), t.logs.Shutdown(ctx)
}

// instance tells replicas apart.
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

// quiet is the log of the HTTP servers: a client that knows the authority not, or hangs up, is
// none of the operator's business.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
