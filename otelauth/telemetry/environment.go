// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"cmp"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// HasExporter reports whether the environment names a destination for any signal.
func HasExporter() bool {
	return slices.ContainsFunc([]string{"TRACES", "METRICS", "LOGS"}, func(signal string) bool { return exports(os.Getenv, signal) })
}

// exports reports whether the variables name a destination for a signal.
func exports(getenv func(string) string, signal string) bool {
	switch getenv("OTEL_" + signal + "_EXPORTER") {
	case "none":
		return false
	case "":
		return getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT") != ""
	}
	return true
}

// Without limits one User-Agent of 60 KB makes a span of that size, and a batch of such spans
// exceeds the 4 MiB that a collector accepts: it refuses the batch with the spans of every other
// client in it. A batch of maxSpanBatch spans stays below 4 MiB even if each has a tracestate of
// 16 KB, which no span limit covers.
const (
	maxSpanValue = 512 // characters
	maxSpanBatch = 128
)

// SpanLimits returns the limits of a span and the number of spans in one export, for a program
// that creates its TracerProvider itself. The OTEL_ variables take precedence. See
// docs/telemetry-limits.md.
func SpanLimits() (limits sdktrace.SpanLimits, batch int) {
	return spanLimits(&Config{Getenv: os.Getenv})
}

func spanLimits(cfg *Config) (limits sdktrace.SpanLimits, batch int) {
	// reads the environment; 128 attributes, events and links by default
	limits = sdktrace.NewSpanLimits()
	if cfg.Getenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT") == "" && cfg.Getenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT") == "" {
		limits.AttributeValueLengthLimit = cmp.Or(cfg.SpanValueLength, maxSpanValue)
	}
	batch, err := strconv.Atoi(cfg.Getenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"))
	if err != nil || batch <= 0 {
		batch = cmp.Or(cfg.SpanBatch, maxSpanBatch)
	}
	return limits, batch
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

// Exporter returns the name of the exporter that the variables select for a signal, "traces",
// "metrics" or "logs": "otlp", "console", "prometheus" and so on, "none", or "lines" for events
// that become lines because no exporter is configured.
func Exporter(getenv func(string) string, signal string) string {
	signal = strings.ToUpper(signal)
	switch {
	case exports(getenv, signal):
		return cmp.Or(getenv("OTEL_"+signal+"_EXPORTER"), "otlp")
	case signal == "LOGS" && getenv("OTEL_LOGS_EXPORTER") == "":
		return "lines"
	}
	return "none"
}
