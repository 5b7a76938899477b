// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package slogevent

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/log/embedded"
	"go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/trace"
)

// Provider is a LoggerProvider that writes each record to a [slog.Handler] too, or, with
// [Fallback], only while the provider behind it records nothing. Make it with [Tee] or [Fallback].
// It is safe for concurrent use.
type Provider struct {
	embedded.LoggerProvider
	next log.LoggerProvider
	// handler returns where a record goes besides next; nil: nowhere.
	handler func(ctx context.Context, next log.Logger) slog.Handler
}

// Tee returns a Provider that gives every record to next and to h.
func Tee(next log.LoggerProvider, h slog.Handler) *Provider {
	return &Provider{next: next, handler: func(context.Context, log.Logger) slog.Handler { return h }}
}

// To returns a Provider that writes every record to h and nowhere else.
func To(h slog.Handler) *Provider { return Tee(noop.NewLoggerProvider(), h) }

// Fallback returns a Provider that gives every record to next, and to the handler that h returns
// while next records nothing, not even fatal errors. It is decided for each record, because a
// program may set its global provider late.
func Fallback(next log.LoggerProvider, h func(context.Context) slog.Handler) *Provider {
	return &Provider{next: next, handler: func(ctx context.Context, next log.Logger) slog.Handler {
		// A provider that records only severe events is in force, so what it drops stays dropped.
		if next.Enabled(ctx, log.EnabledParameters{Severity: log.SeverityFatal4}) {
			return nil
		}
		return h(ctx)
	}}
}

// Logger returns a Logger of the provider behind p, and of the handler.
func (p *Provider) Logger(name string, options ...log.LoggerOption) log.Logger {
	return &logger{next: p.next.Logger(name, options...), handler: p.handler}
}

type logger struct {
	embedded.Logger
	next    log.Logger
	handler func(ctx context.Context, next log.Logger) slog.Handler
}

// Enabled reports whether the provider or the handler takes the record.
func (l *logger) Enabled(ctx context.Context, p log.EnabledParameters) bool {
	if l.next.Enabled(ctx, p) {
		return true
	}
	h := l.handler(ctx, l.next)
	return h != nil && h.Enabled(ctx, Level(p.Severity))
}

// Emit gives rec to the provider, which drops what it does not take, and to the handler. It ignores
// the errors of the handler, so a full disk fails no authentication.
func (l *logger) Emit(ctx context.Context, rec log.Record) {
	l.next.Emit(ctx, rec)
	level := Level(rec.Severity())
	h := l.handler(ctx, l.next)
	if h == nil || !h.Enabled(ctx, level) {
		return
	}
	var buf [26]attribute.KeyValue // most events fit without an allocation
	attrs := buf[:0]
	if body := rec.Body(); body.Type() != attribute.EMPTY {
		attrs = append(attrs, attribute.String("body", body.String()))
	}
	rec.WalkAttributes(func(kv attribute.KeyValue) bool {
		attrs = append(attrs, kv)
		return true
	})
	_ = Write(ctx, h, rec.Timestamp(), level, rec.EventName(), trace.SpanContextFromContext(ctx), attrs)
}

// Level returns the level of slog for s: Info, Warn or Error.
func Level(s log.Severity) slog.Level {
	switch {
	case s >= log.SeverityError:
		return slog.LevelError
	case s >= log.SeverityWarn:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
