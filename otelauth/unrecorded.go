// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/internal/slogevent"
)

// The lines about signals that no provider records.
const (
	noLogs = "otelauth: no LoggerProvider is set so far, so events go to slog.Default(). " +
		"Call telemetry.Start (package otelauth/telemetry), or set Config.LoggerProvider; docs/telemetry.md has a program. " +
		"Config.DisableFallback ends these lines"
	noSpans = "no TracerProvider is set, so no span is recorded and events have no trace id: " +
		"call telemetry.Start (package otelauth/telemetry), or set Config.TracerProvider"
	noMetrics = "no MeterProvider is set that exports, so no attempt is counted: " +
		"set OTEL_METRICS_EXPORTER for telemetry.Start (package otelauth/telemetry), or set Config.MeterProvider"
)

// loggers returns where the events of cfg go: the LoggerProvider with Config.Slog beside it, or
// with slog.Default while it records nothing.
func (s *shared) loggers(cfg *Config) log.LoggerProvider {
	next := cfg.LoggerProvider
	if next == nil {
		next = otel.GetLoggerProvider()
	}
	switch {
	case cfg.Slog != nil:
		return slogevent.Tee(next, cfg.Slog)
	case cfg.DisableFallback:
		return next
	}
	return slogevent.Fallback(next, func(ctx context.Context) slog.Handler {
		h := slog.Default().Handler() //nolint:forbidigo // what Config.DisableFallback is documented to switch off
		s.fallback.Do(func() {
			_ = slogevent.Write(ctx, h, time.Now(), slog.LevelWarn, noLogs, trace.SpanContext{}, nil)
		})
		return h
	})
}

// unrecorded is an observer that reports, after the first attempt, the signals that no provider
// records. A provider may be set after New, so it cannot be known before.
type unrecorded struct {
	once    *sync.Once
	metrics *metrics.Observer
	events  *audit.Observer
}

// Begin returns ctx.
func (u *unrecorded) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

// Decide returns nil.
func (u *unrecorded) Decide(context.Context, *attempt.Request, *attempt.Result) error { return nil }

// End emits a notice for each signal that is lost. It runs before the other observers, so the
// notices come before the first event.
func (u *unrecorded) End(ctx context.Context, req *attempt.Request, res *attempt.Result, _ *attempt.Response) {
	u.once.Do(func() {
		at := req.Time.Add(res.Duration)
		if req.Span == nil {
			u.events.Notice(ctx, attempt.Notice{Kind: attempt.TelemetryUnrecorded, Time: at, Message: noSpans})
		}
		if !u.metrics.Enabled(ctx) {
			u.events.Notice(ctx, attempt.Notice{Kind: attempt.TelemetryUnrecorded, Time: at, Message: noMetrics})
		}
	})
}
