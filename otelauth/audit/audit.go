// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// ScopeName is the name of the instrumentation scope of the events.
const ScopeName = "github.com/otelauth/otelauth-go/otelauth/audit"

// Config is the configuration of [New]. The zero Config uses the global LoggerProvider.
type Config struct {
	// LoggerProvider emits the events. Default: [otel.GetLoggerProvider].
	LoggerProvider log.LoggerProvider
	// Events decides which events are emitted individually. Default: every success, and denials
	// until they are a flood.
	Events Events
}

// Observer emits the events of attempts as OpenTelemetry log records. Make it with [New]. It is
// safe for concurrent use.
type Observer struct {
	logger log.Logger
	folder *folder
}

var (
	_ attempt.Observer          = (*Observer)(nil)
	_ attempt.AnonymousObserver = (*Observer)(nil)
	_ attempt.NoticeObserver    = (*Observer)(nil)
	_ attempt.Flusher           = (*Observer)(nil)
)

// New returns an Observer, or all errors of cfg, joined.
func New(cfg Config) (*Observer, error) {
	if cfg.LoggerProvider == nil {
		cfg.LoggerProvider = otel.GetLoggerProvider()
	}
	o := &Observer{logger: cfg.LoggerProvider.Logger(ScopeName,
		log.WithSchemaURL(semconv.SchemaURL), log.WithInstrumentationVersion(semconv.Version()))}
	var err error
	if o.folder, err = newFolder(cfg.Events, o.suppressed); err != nil {
		return nil, err
	}
	return o, nil
}

// Begin returns ctx.
func (o *Observer) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

// Decide returns nil: the event waits for the response.
func (o *Observer) Decide(context.Context, *attempt.Request, *attempt.Result) error { return nil }

// End emits the event "auth.attempt", unless the event is folded.
func (o *Observer) End(ctx context.Context, req *attempt.Request, res *attempt.Result, resp *attempt.Response) {
	lvl := severity(res.Outcome)
	if lvl == info && resp.IsRefused() {
		lvl = warn
	}
	if !o.enabled(ctx, lvl, semconv.EventAttempt) || !o.folder.attempt(ctx, req, res, resp) {
		return
	}
	var kv attributes
	kv.attempt(req, res, resp)
	o.emit(spanned(ctx, req), event{name: semconv.EventAttempt, level: lvl, time: verdictTime(req, res)}, &kv)
}

// Anonymous emits "auth.public.response" if a public endpoint answered 401 or 403, unless the
// event is folded.
func (o *Observer) Anonymous(ctx context.Context, req *attempt.Request, resp *attempt.Response) {
	if !isDenial(resp) || !o.enabled(ctx, warn, semconv.EventPublicResponse) || !o.folder.public(ctx, req, resp) {
		return
	}
	var kv attributes
	kv.public(req, resp)
	o.emit(spanned(ctx, req), event{name: semconv.EventPublicResponse, level: warn, time: req.Time}, &kv)
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

// Flush emits the folded events now instead of at the end of their periods. Call it before the
// LoggerProvider is shut down.
func (o *Observer) Flush() { o.folder.Flush() }

// suppressed emits a folded event. It has no span, because it represents many.
func (o *Observer) suppressed(f *fold, now time.Time) {
	ctx, lvl := context.Background(), f.level()
	if !o.enabled(ctx, lvl, semconv.EventEventsSuppressed) {
		return
	}
	var kv attributes
	kv.suppressed(f)
	o.emit(ctx, event{name: semconv.EventEventsSuppressed, level: lvl, time: now}, &kv)
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
