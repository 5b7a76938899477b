// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
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

// checkExporterVariables looks at what the SDK would quote in its own complaint: headers hold the keys of backends, and
// endpoints may hold a password.
func checkExporterVariables(getenv func(string) string) error {
	var faults []error
	for _, signal := range []string{"", "TRACES_", "METRICS_", "LOGS_"} {
		name := "OTEL_EXPORTER_OTLP_" + signal + "HEADERS"
		if text := getenv(name); text != "" {
			for i, item := range strings.Split(text, ",") {
				key, value, found := strings.Cut(item, "=")
				_, err := url.PathUnescape(value)
				if !found || err != nil || !headerName.MatchString(strings.TrimSpace(key)) {
					faults = append(faults, fmt.Errorf("%s: item %d (not shown) does not read name=value, the value percent-encoded", name, i+1))
				}
			}
		}
		name = "OTEL_EXPORTER_OTLP_" + signal + "ENDPOINT"
		if text := getenv(name); text != "" {
			if u, err := url.Parse(text); err != nil || u.User != nil {
				faults = append(faults, fmt.Errorf("%s (not shown): not a URL such as http://127.0.0.1:4318, or one with a password: put that into OTEL_EXPORTER_OTLP_HEADERS", name))
			}
		}
	}
	return errors.Join(faults...)
}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// bare leaves the SDK's own complaints what they say and not what they quote.
func bare(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey, slog.LevelKey:
		return a
	case slog.MessageKey, "err", "error":
		return slog.String(a.Key, redact(a.Value.String()))
	}
	return slog.Attr{}
}

// flushWait bounds the last export.
const flushWait = 5 * time.Second

// signals are the providers of one process.
type signals struct {
	disabled    bool // OTEL_SDK_DISABLED
	tracer      trace.TracerProvider
	meter       metric.MeterProvider
	logger      log.LoggerProvider
	propagators propagation.TextMapPropagator
	stops       []func(context.Context) error
	getenv      func(string) string
}

// Without limits one User-Agent of 60 KB makes a span of that size, and a batch of such spans exceeds the
// 4 MiB that a collector accepts: it refuses the batch with the spans of every other client in it. A batch of
// maxSpanBatch spans stays below 4 MiB even if each has a tracestate of 16 KB, which no span limit covers.
const (
	maxSpanValue = 512 // characters
	maxSpanBatch = 128
)

// spanLimits returns the SDK's limits, with a bound on the length of values if the environment sets none.
func spanLimits(getenv func(string) string) sdktrace.SpanLimits {
	limits := sdktrace.NewSpanLimits() // reads the environment; 128 attributes, events and links by default
	if getenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT") == "" && getenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT") == "" {
		limits.AttributeValueLengthLimit = maxSpanValue
	}
	return limits
}

// spanBatch returns how many spans one export holds at most.
func spanBatch(getenv func(string) string) int {
	if n, err := strconv.Atoi(getenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE")); err == nil && n > 0 {
		return n
	}
	return maxSpanBatch
}

// newSignals follows the OTEL_ variables. A signal for which they name no exporter is: spans, made with their ids
// but not exported, so that an event and the upstream's own log share a trace id; metrics, none; events, JSON lines on w.
func newSignals(ctx context.Context, getenv func(string) string, w io.Writer) (*signals, error) {
	s := &signals{disabled: strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true"), getenv: getenv}
	var err error
	if s.propagators, err = propagators(getenv("OTEL_PROPAGATORS")); err != nil {
		return nil, usageError{err}
	}
	if s.disabled {
		s.tracer, s.meter, s.logger = tracenoop.NewTracerProvider(), metricnoop.NewMeterProvider(), lognoop.NewLoggerProvider()
		return s, nil
	}
	if err := checkExporterVariables(getenv); err != nil {
		return nil, usageError{err}
	}
	otel.SetLogger(logr.FromSlogHandler(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn, ReplaceAttr: bare})))
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
	p := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithRawSpanLimits(spanLimits(s.getenv)),
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxExportBatchSize(spanBatch(s.getenv))))
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

// linesInterval is how long an event may wait for its line.
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
		// Through a queue: who does not read standard error must not hold a request up.
		processor = sdklog.NewBatchProcessor(newLineExporter(w), sdklog.WithExportInterval(linesInterval))
	}
	// The keys of otelauth's events are unique by construction; looking for duplicates takes a quarter of the time.
	p := sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(processor), sdklog.WithAllowKeyDuplication())
	s.logger, s.stops = p, append(s.stops, p.Shutdown)
	return nil
}

// close writes out what is left, within flushWait.
func (s *signals) close() {
	ctx, cancel := context.WithTimeout(context.Background(), flushWait)
	defer cancel()
	var wg sync.WaitGroup
	for _, stop := range s.stops {
		wg.Go(func() { _ = stop(ctx) }) // told to the error handler
	}
	wg.Wait()
}

// propagators reads OTEL_PROPAGATORS; "" is what the specification says.
func propagators(list string) (propagation.TextMapPropagator, error) {
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
		case "none", "":
		default:
			return nil, errors.New("OTEL_PROPAGATORS: only tracecontext, baggage and none are known here")
		}
	}
	return propagation.NewCompositeTextMapPropagator(all...), nil
}

// sdkErrors tells an error of the SDK as a line, the same one at most once a minute: a collector that is down fails every export.
type sdkErrors struct {
	log  *slog.Logger
	mu   sync.Mutex
	last string
	at   time.Time
}

// Handle is that of otel.ErrorHandler.
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
