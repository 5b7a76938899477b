// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// ScopeName is the name of the instrumentation scope of the events.
const ScopeName = "github.com/otelauth/otelauth-go/otelauth/audit"

// Config says where events go. Its zero value uses the global LoggerProvider.
type Config struct {
	// LoggerProvider emits the events; nil means that of [otel.GetLoggerProvider].
	LoggerProvider log.LoggerProvider
}

// Observer emits the events of attempts as OpenTelemetry log records. Use [New]. It is safe for
// concurrent use.
type Observer struct {
	logger log.Logger
}

var (
	_ attempt.Observer          = (*Observer)(nil)
	_ attempt.AnonymousObserver = (*Observer)(nil)
	_ attempt.NoticeObserver    = (*Observer)(nil)
)

// New returns an Observer. Every Config of today is good, so the error is nil.
func New(cfg Config) (*Observer, error) {
	if cfg.LoggerProvider == nil {
		cfg.LoggerProvider = otel.GetLoggerProvider()
	}
	return &Observer{logger: cfg.LoggerProvider.Logger(ScopeName, log.WithSchemaURL(semconv.SchemaURL))}, nil
}

// Begin returns ctx.
func (o *Observer) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

// Decide returns nil: the event waits for the response.
func (o *Observer) Decide(context.Context, *attempt.Request, *attempt.Result) error { return nil }

// End emits the event "auth.attempt".
func (o *Observer) End(ctx context.Context, req *attempt.Request, res *attempt.Result, resp *attempt.Response) {
	lvl := severity(res.Outcome)
	if !o.enabled(ctx, lvl, attempt.EventAttempt) {
		return
	}
	var kv attributes
	kv.attempt(req, res, resp)
	o.emit(spanned(ctx, req), event{name: attempt.EventAttempt, level: lvl, time: verdictTime(req, res)}, &kv)
}

// Anonymous emits "auth.public.response" when a public endpoint answered 401 or 403.
func (o *Observer) Anonymous(ctx context.Context, req *attempt.Request, resp *attempt.Response) {
	if !anonymous(resp) || !o.enabled(ctx, warn, attempt.EventPublicResponse) {
		return
	}
	var kv attributes
	kv.public(req, resp)
	o.emit(spanned(ctx, req), event{name: attempt.EventPublicResponse, level: warn, time: req.Time}, &kv)
}

// Notice emits an event named after the kind of n.
func (o *Observer) Notice(ctx context.Context, n attempt.Notice) {
	lvl := noticeLevel(&n)
	if !o.enabled(ctx, lvl, string(n.Kind)) {
		return
	}
	var kv attributes
	kv.notice(&n)
	o.emit(ctx, event{
		name: string(n.Kind), level: lvl, time: n.Time, body: attempt.Text(n.Message, maxMessageBytes),
	}, &kv)
}

type event struct {
	name  string
	body  string
	time  time.Time
	level level
}

func (o *Observer) enabled(ctx context.Context, l level, name string) bool {
	return o.logger.Enabled(ctx, log.EnabledParameters{Severity: otelSeverity(l), EventName: name})
}

func (o *Observer) emit(ctx context.Context, e event, kv *attributes) {
	var rec log.Record
	rec.SetEventName(e.name)
	rec.SetTimestamp(e.time)
	rec.SetSeverity(otelSeverity(e.level))
	rec.SetSeverityText(otelSeverity(e.level).String())
	if e.body != "" {
		rec.SetBody(attribute.StringValue(e.body))
	}
	rec.AddAttributes(kv.all()...)
	o.logger.Emit(ctx, rec)
}

func otelSeverity(l level) log.Severity {
	switch l {
	case info:
		return log.SeverityInfo
	case warn:
		return log.SeverityWarn
	}
	return log.SeverityError
}
