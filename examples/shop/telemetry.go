// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"io"
	"log"
	"os"
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

	sdk "github.com/otelauth/otelauth-go/otelauth/telemetry"
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

// toEnvironment exports to the destination that the standard variables name. By default that is an
// OTLP collector on this host.
func toEnvironment(ctx context.Context) (d destination, err error) {
	spans, errTraces := autoexport.NewSpanExporter(ctx)
	metrics, errMetrics := autoexport.NewMetricReader(ctx)
	events, errLogs := autoexport.NewLogExporter(ctx)
	if err := errors.Join(errTraces, errMetrics, errLogs); err != nil {
		return d, err
	}
	_, batch := sdk.SpanLimits()
	return destination{
		sdktrace.NewBatchSpanProcessor(spans, sdktrace.WithMaxExportBatchSize(batch)), metrics, sdklog.NewBatchProcessor(events),
	}, nil
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
	_, batch := sdk.SpanLimits()
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
	limits, _ := sdk.SpanLimits()
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
