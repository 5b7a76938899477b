// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
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
)

// withoutValues keeps the message of the SDK's own errors and drops all other attributes.
func withoutValues(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, slog.LevelKey:
		return a
	case slog.MessageKey, "err", "error":
		return slog.String(a.Key, redact(a.Value.String()))
	}
	return slog.Attr{}
}

// flushWait is the timeout of the last export.
const flushWait = 5 * time.Second

// signals holds the telemetry providers of the process.
type signals struct {
	disabled    bool // OTEL_SDK_DISABLED
	tracer      trace.TracerProvider
	meter       metric.MeterProvider
	logger      log.LoggerProvider
	propagators propagation.TextMapPropagator
	stops       []func(context.Context) error
	getenv      func(string) string
	bounds      spanBounds
}

// Without limits one User-Agent of 60 KB makes a span of that size, and a batch of such spans
// exceeds the 4 MiB that a collector accepts: it refuses the batch with the spans of every other
// client in it. A batch of maxSpanBatch spans stays below 4 MiB even if each has a tracestate of
// 16 KB, which no span limit covers.
const (
	maxSpanValue = 512 // characters
	maxSpanBatch = 128
)

// spanBounds are the flags that bound exported spans; 0 is the default.
type spanBounds struct{ valueLength, batch int }

// limits returns the SDK's limits, with a bound on the length of values if the environment
// sets none.
func (b spanBounds) limits(getenv func(string) string) sdktrace.SpanLimits {
	// reads the environment; 128 attributes, events and links by default
	limits := sdktrace.NewSpanLimits()
	if getenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT") == "" && getenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT") == "" {
		limits.AttributeValueLengthLimit = cmp.Or(b.valueLength, maxSpanValue)
	}
	return limits
}

// exported returns how many spans one export holds at most.
func (b spanBounds) exported(getenv func(string) string) int {
	if n, err := strconv.Atoi(getenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")); err == nil && n > 0 {
		return n
	}
	return cmp.Or(b.batch, maxSpanBatch)
}

// newSignals returns the providers that the OTEL_ variables configure. Without an exporter, spans
// have ids but are not exported, so that an event and the upstream's log share a trace id; metrics
// are off; and events are JSON lines on w.
func newSignals(ctx context.Context, getenv func(string) string, bounds spanBounds, w io.Writer) (*signals, error) {
	if err := checkTelemetryVariables(getenv); err != nil {
		return nil, usageError{err}
	}
	s := &signals{
		disabled: getenv("OTEL_SDK_DISABLED") == "true", propagators: propagators(getenv("OTEL_PROPAGATORS")), getenv: getenv, bounds: bounds,
	}
	if s.disabled {
		s.tracer, s.meter, s.logger = tracenoop.NewTracerProvider(), metricnoop.NewMeterProvider(), lognoop.NewLoggerProvider()
		return s, nil
	}
	otel.SetLogger(logr.FromSlogHandler(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: withoutValues})))
	otel.SetErrorHandler(&sdkErrors{log: slog.New(slog.NewJSONHandler(w, nil))})
	res, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("otelauth-gateway"), semconv.ServiceVersion(version())),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) && !errors.Is(err, resource.ErrSchemaURLConflict) {
		return nil, usageError{fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)}
	}
	configured := func(signal string) bool {
		return getenv("OTEL_"+signal+"_EXPORTER") != "" || getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" ||
			getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
	}
	if err := errors.Join(s.traces(ctx, res, configured("TRACES")), s.metrics(ctx, res, configured("METRICS")), s.logs(ctx, res, configured("LOGS"), w)); err != nil {
		s.close()
		return nil, usageError{fmt.Errorf("the OTEL_ variables: %w", err)}
	}
	return s, nil
}

func (s *signals) traces(ctx context.Context, res *resource.Resource, configured bool) error {
	if !configured {
		s.tracer = sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.NeverSample()))
		return nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return err
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(s.bounds.limits(s.getenv)),
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxExportBatchSize(s.bounds.exported(s.getenv))))
	s.tracer, s.stops = p, append(s.stops, p.Shutdown)
	return nil
}

func (s *signals) metrics(ctx context.Context, res *resource.Resource, configured bool) error {
	if !configured {
		s.meter = metricnoop.NewMeterProvider()
		return nil
	}
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return err
	}
	p := sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(reader))
	s.meter, s.stops = p, append(s.stops, p.Shutdown)
	return nil
}

// linesInterval is the longest time before an event is written as a line.
const linesInterval = 200 * time.Millisecond

func (s *signals) logs(ctx context.Context, res *resource.Resource, configured bool, w io.Writer) error {
	var processor sdklog.Processor
	if configured {
		exporter, err := autoexport.NewLogExporter(ctx)
		if err != nil {
			return err
		}
		processor = sdklog.NewBatchProcessor(exporter)
	} else {
		// Through a queue, because a reader of standard error that stalls must not delay a
		// request.
		processor = sdklog.NewBatchProcessor(newLineExporter(w), sdklog.WithExportInterval(linesInterval))
	}
	// The keys of otelauth's events are unique; checking for duplicates takes a quarter of the
	// time.
	p := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(processor), sdklog.WithAllowKeyDuplication())
	s.logger, s.stops = p, append(s.stops, p.Shutdown)
	return nil
}

// close exports what is pending, within flushWait.
func (s *signals) close() {
	ctx, cancel := context.WithTimeout(context.Background(), flushWait)
	defer cancel()
	var wg sync.WaitGroup
	for _, stop := range s.stops {
		wg.Go(func() { _ = stop(ctx) }) // the error handler reports it
	}
	wg.Wait()
}

// propagators returns those that OTEL_PROPAGATORS lists; "" is the default of the specification.
func propagators(list string) propagation.TextMapPropagator {
	if list == "" {
		list = "tracecontext,baggage"
	}
	var all []propagation.TextMapPropagator
	for name := range strings.SplitSeq(list, ",") {
		switch strings.TrimSpace(name) {
		case "tracecontext":
			all = append(all, propagation.TraceContext{})
		case "baggage":
			all = append(all, propagation.Baggage{})
		}
	}
	return propagation.NewCompositeTextMapPropagator(all...)
}

// sdkErrors writes errors of the SDK as lines, the same one at most once a minute, because every
// export fails while a collector is down.
type sdkErrors struct {
	log  *slog.Logger
	mu   sync.Mutex
	last string
	at   time.Time
}

// Handle implements otel.ErrorHandler.
func (h *sdkErrors) Handle(err error) {
	if err == nil {
		return
	}
	text := redact(err.Error())
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); text != h.last || now.Sub(h.at) >= time.Minute {
		h.last, h.at = text, now
		h.log.Error("telemetry", "error", text)
	}
}
