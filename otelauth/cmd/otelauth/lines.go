// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
)

// lineExporter writes each event as a line of JSON: time, level, the event name as msg, the ids of
// its span, and its attributes.
type lineExporter struct {
	mu sync.Mutex
	h  slog.Handler
}

func newLineExporter(w io.Writer) *lineExporter { return &lineExporter{h: slog.NewJSONHandler(w, nil)} }

var _ sdklog.Exporter = (*lineExporter)(nil)

// Export writes the records.
func (e *lineExporter) Export(ctx context.Context, records []sdklog.Record) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range records {
		r := &records[i]
		at := r.Timestamp()
		if at.IsZero() {
			at = r.ObservedTimestamp()
		}
		line := slog.NewRecord(at, levelOf(r.Severity()), r.EventName(), 0)
		if r.TraceID().IsValid() {
			line.AddAttrs(slog.String("trace_id", r.TraceID().String()), slog.String("span_id", r.SpanID().String()))
		}
		if body := r.Body(); body.Type() != attribute.EMPTY {
			line.AddAttrs(slog.String("body", body.String()))
		}
		r.WalkAttributes(func(kv attribute.KeyValue) bool {
			line.AddAttrs(slog.Any(string(kv.Key), kv.Value.AsInterface()))
			return true
		})
		if err := e.h.Handle(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

// Shutdown does nothing.
func (e *lineExporter) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing, because Export writes at once.
func (e *lineExporter) ForceFlush(context.Context) error { return nil }

func levelOf(s log.Severity) slog.Level {
	switch {
	case s >= log.SeverityError:
		return slog.LevelError
	case s >= log.SeverityWarn:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
