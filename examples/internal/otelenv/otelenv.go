// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package otelenv reads what the OTEL_ variables say about exporters and limits, for the examples
// that set up the SDK.
package otelenv

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// IsConfigured reports whether environ names a destination for telemetry, with
// OTEL_EXPORTER_OTLP_ENDPOINT or its variants, or with OTEL_TRACES_EXPORTER or its variants.
func IsConfigured(environ []string) bool {
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		if value != "" && (strings.HasPrefix(name, "OTEL_EXPORTER_") || strings.HasPrefix(name, "OTEL_") && strings.HasSuffix(name, "_EXPORTER")) {
			return true
		}
	}
	return false
}

// Exporters export to one destination.
type Exporters struct {
	Spans   sdktrace.SpanExporter
	Metrics sdkmetric.Reader
	Logs    sdklog.Exporter
}

// NewExporters returns exporters to the destination that the variables name. By default that is an
// OTLP collector on this host.
func NewExporters(ctx context.Context) (x Exporters, err error) {
	var errs [3]error
	x.Spans, errs[0] = autoexport.NewSpanExporter(ctx)
	x.Metrics, errs[1] = autoexport.NewMetricReader(ctx)
	x.Logs, errs[2] = autoexport.NewLogExporter(ctx)
	return x, errors.Join(errs[:]...)
}

// BoundedSpans returns the limits of a span and the number of spans in one export. With them no
// client can make an export larger than the 4 MiB that a collector accepts, which would lose the
// spans of all other clients too. The OTEL_ variables take precedence. See
// docs/telemetry-limits.md.
func BoundedSpans() (limits sdktrace.SpanLimits, batch int) {
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
