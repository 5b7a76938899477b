// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package telemetry starts the OpenTelemetry SDK for traces, metrics and events. It is for
// programs: package otelauth itself takes the providers that its caller has set, and imports no
// SDK.
//
//	providers, err := telemetry.Start(ctx, "orders")
//	...
//	err = errors.Join(server.Shutdown(ctx), mw.Close(), users.Close(), providers.Shutdown(ctx))
//
// The OTEL_ variables of OpenTelemetry choose where each signal goes. A signal is exported when
// OTEL_EXPORTER_OTLP_ENDPOINT, the variable of its own OTLP endpoint, or its own exporter variable
// (OTEL_TRACES_EXPORTER, OTEL_METRICS_EXPORTER, OTEL_LOGS_EXPORTER) is set. Without any of them,
// nothing is sent: events are JSON lines on standard error, spans have ids but are not recorded,
// and metrics are off. docs/telemetry.md lists the variables.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/otelauth/internal/scrub"
)

// Config configures [New].
type Config struct {
	// Service is service.name unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES sets it.
	Service string
	// Version is service.version. Default: none.
	Version string
	// Lines receives the events as JSON lines while no exporter of events is configured.
	// Default: os.Stderr.
	Lines io.Writer
	// LogProcessors receive every event too. Default: none.
	LogProcessors []sdklog.Processor
	// SpanValueLength is the longest exported attribute value of a span, in characters, unless a
	// variable sets it. Default: 512.
	SpanValueLength int
	// SpanBatch is the largest number of spans in one export, unless a variable sets it.
	// Default: 128.
	SpanBatch int
	// Getenv decides which signals are exported. The exporters read the environment of the
	// process nevertheless. Default: os.Getenv.
	Getenv func(name string) string
}

// Providers are the telemetry providers of a process. Create them with [Start] or [New].
type Providers struct {
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	LoggerProvider log.LoggerProvider
	// Propagator is the one that OTEL_PROPAGATORS lists; default: tracecontext and baggage.
	Propagator propagation.TextMapPropagator
	// Disabled reports that OTEL_SDK_DISABLED is true. The providers then do nothing.
	Disabled bool

	running []sdkProvider
}

// sdkProvider is what the three providers of the SDK have in common.
type sdkProvider interface {
	ForceFlush(ctx context.Context) error
	Shutdown(ctx context.Context) error
}

// Start returns the providers that the OTEL_ variables configure and makes them and their
// propagator the global ones. service is service.name unless a variable sets it. Errors of
// exporters become lines on standard error; see [HandleErrors].
//
// Call Start once, before otelauth.New, and [Providers.Shutdown] at the end of the program.
func Start(ctx context.Context, service string) (*Providers, error) {
	HandleErrors(os.Stderr)
	p, err := New(ctx, Config{Service: service})
	if err != nil {
		return nil, err
	}
	p.SetGlobal()
	return p, nil
}

// New is [Start] with a Config. It sets nothing global.
func New(ctx context.Context, cfg Config) (*Providers, error) {
	if cfg.Getenv == nil {
		cfg.Getenv = os.Getenv
	}
	if cfg.Lines == nil {
		cfg.Lines = os.Stderr
	}
	p := &Providers{Propagator: propagators(cfg.Getenv("OTEL_PROPAGATORS"))}
	if p.Disabled = strings.EqualFold(cfg.Getenv("OTEL_SDK_DISABLED"), "true"); p.Disabled {
		p.TracerProvider, p.MeterProvider, p.LoggerProvider =
			tracenoop.NewTracerProvider(), metricnoop.NewMeterProvider(), lognoop.NewLoggerProvider()
		return p, nil
	}
	attributes := resource.WithAttributes(semconv.ServiceName(cfg.Service))
	if cfg.Version != "" {
		attributes = resource.WithAttributes(semconv.ServiceName(cfg.Service), semconv.ServiceVersion(cfg.Version))
	}
	res, err := resource.New(ctx, attributes, resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) && !errors.Is(err, resource.ErrSchemaURLConflict) {
		return nil, fmt.Errorf("telemetry: OTEL_RESOURCE_ATTRIBUTES: %s: write name=value pairs with commas between them", scrub.Text(err.Error()))
	}
	if err := errors.Join(p.traces(ctx, &cfg, res), p.metrics(ctx, &cfg, res), p.logs(ctx, &cfg, res)); err != nil {
		ctx, cancel := context.WithCancel(ctx)
		cancel() // nothing is recorded yet, so there is nothing to wait for
		_ = p.Shutdown(ctx)
		return nil, fmt.Errorf("telemetry: %s: correct the OTEL_ variable, or unset it", scrub.Text(err.Error()))
	}
	return p, nil
}

// SetGlobal makes the providers and the propagator the global ones of OpenTelemetry.
func (p *Providers) SetGlobal() {
	otel.SetTracerProvider(p.TracerProvider)
	otel.SetMeterProvider(p.MeterProvider)
	otel.SetLoggerProvider(p.LoggerProvider)
	otel.SetTextMapPropagator(p.Propagator)
}

// ForceFlush exports what is pending.
func (p *Providers) ForceFlush(ctx context.Context) error {
	return p.each(func(s sdkProvider) error { return s.ForceFlush(ctx) })
}

// Shutdown exports what is pending and ends the providers. Call it last: first shut down the
// server, then close the Middleware, which emits what it still holds, then the accounts.
//
// ctx bounds the wait for a collector that does not answer. It must not be the context whose end
// stopped the program, because nothing is exported with a context that has ended.
func (p *Providers) Shutdown(ctx context.Context) error {
	return p.each(func(s sdkProvider) error { return s.Shutdown(ctx) })
}

// each calls do for all providers at the same time, so that one whose collector does not answer
// does not take the time of the others.
func (p *Providers) each(do func(sdkProvider) error) error {
	errs := make([]error, len(p.running))
	var wg sync.WaitGroup
	for i, s := range p.running {
		wg.Go(func() { errs[i] = do(s) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("telemetry: not everything was exported: %s: see whether the collector is reachable", scrub.Text(err.Error()))
	}
	return nil
}

func (p *Providers) traces(ctx context.Context, cfg *Config, res *resource.Resource) error {
	if !exports(cfg.Getenv, "TRACES") {
		// Spans have ids, so that an event and the log of the next service share a trace id.
		p.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.NeverSample()))
		return nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return err
	}
	limits, batch := spanLimits(cfg)
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxExportBatchSize(batch)))
	p.TracerProvider, p.running = provider, append(p.running, provider)
	return nil
}

func (p *Providers) metrics(ctx context.Context, cfg *Config, res *resource.Resource) error {
	if !exports(cfg.Getenv, "METRICS") {
		p.MeterProvider = metricnoop.NewMeterProvider()
		return nil
	}
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return err
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(reader))
	p.MeterProvider, p.running = provider, append(p.running, provider)
	return nil
}

// linesInterval is the longest time before an event is written as a line.
const linesInterval = 200 * time.Millisecond

func (p *Providers) logs(ctx context.Context, cfg *Config, res *resource.Resource) error {
	var processor sdklog.Processor
	switch {
	case exports(cfg.Getenv, "LOGS"):
		exporter, err := autoexport.NewLogExporter(ctx)
		if err != nil {
			return err
		}
		processor = sdklog.NewBatchProcessor(exporter)
	case cfg.Getenv("OTEL_LOGS_EXPORTER") == "none":
		processor = sdklog.NewSimpleProcessor(discard{})
	default:
		// Through a queue, because a reader of standard error that stalls must not delay a
		// request.
		processor = sdklog.NewBatchProcessor(NewLineExporter(cfg.Lines), sdklog.WithExportInterval(linesInterval))
	}
	// The keys of otelauth's events are unique; checking for duplicates takes a quarter of the
	// time.
	options := []sdklog.LoggerProviderOption{sdklog.WithResource(res), sdklog.WithProcessor(processor), sdklog.WithAllowKeyDuplication()}
	for _, more := range cfg.LogProcessors {
		options = append(options, sdklog.WithProcessor(more))
	}
	provider := sdklog.NewLoggerProvider(options...)
	p.LoggerProvider, p.running = provider, append(p.running, provider)
	return nil
}
