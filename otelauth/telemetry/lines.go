// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"context"
	"io"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/internal/slogevent"
)

type lineExporter struct {
	mu sync.Mutex
	h  slog.Handler
}

// NewLineExporter returns an exporter that writes each event as a line of JSON on w: time,
// level, the event name as msg, the ids of its span, and its attributes.
func NewLineExporter(w io.Writer) sdklog.Exporter {
	return &lineExporter{h: slog.NewJSONHandler(w, nil)}
}

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
		attrs := make([]attribute.KeyValue, 0, 1+r.AttributesLen())
		if body := r.Body(); body.Type() != attribute.EMPTY {
			attrs = append(attrs, attribute.String("body", body.String()))
		}
		r.WalkAttributes(func(kv attribute.KeyValue) bool {
			attrs = append(attrs, kv)
			return true
		})
		span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: r.TraceID(), SpanID: r.SpanID()})
		if err := slogevent.Write(ctx, e.h, at, slogevent.Level(r.Severity()), r.EventName(), span, attrs); err != nil {
			return err
		}
	}
	return nil
}

// Shutdown does nothing.
func (e *lineExporter) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing, because Export writes at once.
func (e *lineExporter) ForceFlush(context.Context) error { return nil }

// discard is an exporter that drops every event, for OTEL_LOGS_EXPORTER=none.
type discard struct{}

func (discard) Export(context.Context, []sdklog.Record) error { return nil }
func (discard) ForceFlush(context.Context) error              { return nil }
func (discard) Shutdown(context.Context) error                { return nil }
