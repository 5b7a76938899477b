// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package slogevent writes OpenTelemetry events to a [slog.Handler], in one form for the library
// and the command.
package slogevent

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// The keys of the span's ids, from the OpenTelemetry specification for logs that are not OTLP.
const (
	keyTraceID = "trace_id"
	keySpanID  = "span_id"
)

// Write writes one event to h: the name as the message, the ids of a valid span, then attrs under
// their own keys. It returns the error of h and does not call h.Enabled.
func Write(
	ctx context.Context, h slog.Handler, at time.Time, level slog.Level, name string, span trace.SpanContext, attrs []attribute.KeyValue,
) error {
	var buf [26]slog.Attr // most events fit without an allocation
	all := buf[:0]
	if span.IsValid() {
		all = append(all, slog.String(keyTraceID, span.TraceID().String()), slog.String(keySpanID, span.SpanID().String()))
	}
	for _, kv := range attrs {
		all = append(all, attr(kv))
	}
	rec := slog.NewRecord(at, level, name, 0)
	rec.AddAttrs(all...)
	return h.Handle(ctx, rec)
}

func attr(kv attribute.KeyValue) slog.Attr {
	switch kv.Value.Type() {
	case attribute.STRING:
		return slog.String(string(kv.Key), kv.Value.AsString())
	case attribute.INT64:
		return slog.Int64(string(kv.Key), kv.Value.AsInt64())
	case attribute.BOOL:
		return slog.Bool(string(kv.Key), kv.Value.AsBool())
	}
	return slog.Any(string(kv.Key), kv.Value.AsInterface())
}
