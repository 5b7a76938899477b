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
	"github.com/otelauth/otelauth-go/otelauth/audit/internal/wide"
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
	folder *wide.Folder
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
	if o.folder, err = cfg.Events.folder(o.suppressed); err != nil {
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
	lvl := wide.Severity(res.Outcome)
	if lvl == wide.Info && resp.IsRefused() {
		lvl = wide.Warn
	}
	if !o.enabled(ctx, lvl, semconv.EventAttempt) || !o.folder.Attempt(ctx, req, res, resp) {
		return
	}
	var kv wide.Attributes
	kv.Attempt(req, res, resp)
	o.emit(wide.Spanned(ctx, req), event{name: semconv.EventAttempt, level: lvl, time: wide.VerdictTime(req, res)}, &kv)
}

// Anonymous emits "auth.public.response" if a public endpoint answered 401 or 403, unless the
// event is folded.
func (o *Observer) Anonymous(ctx context.Context, req *attempt.Request, resp *attempt.Response) {
	if !wide.IsDenial(resp) || !o.enabled(ctx, wide.Warn, semconv.EventPublicResponse) || !o.folder.Public(ctx, req, resp) {
		return
	}
	var kv wide.Attributes
	kv.Public(req, resp)
	o.emit(wide.Spanned(ctx, req), event{name: semconv.EventPublicResponse, level: wide.Warn, time: req.Time}, &kv)
}

// Notice emits an event named after the kind of n.
func (o *Observer) Notice(ctx context.Context, n attempt.Notice) {
	lvl := wide.NoticeLevel(&n)
	if !o.enabled(ctx, lvl, string(n.Kind)) {
		return
	}
	var kv wide.Attributes
	kv.Notice(&n)
	o.emit(ctx, event{
		name: string(n.Kind), level: lvl, time: n.Time, body: attempt.Text(n.Message, wide.MaxMessageBytes),
	}, &kv)
}

// Flush emits the folded events now instead of at the end of their periods. Call it before the
// LoggerProvider is shut down.
func (o *Observer) Flush() { o.folder.Flush() }

// suppressed emits a folded event. It has no span, because it represents many.
func (o *Observer) suppressed(f *wide.Fold, now time.Time) {
	ctx, lvl := context.Background(), f.Level()
	if !o.enabled(ctx, lvl, semconv.EventEventsSuppressed) {
		return
	}
	var kv wide.Attributes
	kv.Suppressed(f)
	o.emit(ctx, event{name: semconv.EventEventsSuppressed, level: lvl, time: now}, &kv)
}

type event struct {
	name  string
	body  string
	time  time.Time
	level wide.Level
}

func (o *Observer) enabled(ctx context.Context, l wide.Level, name string) bool {
	return o.logger.Enabled(ctx, log.EnabledParameters{Severity: otelSeverity(l), EventName: name})
}

func (o *Observer) emit(ctx context.Context, e event, kv *wide.Attributes) {
	var rec log.Record
	rec.SetEventName(e.name)
	rec.SetTimestamp(e.time)
	rec.SetSeverity(otelSeverity(e.level))
	rec.SetSeverityText(otelSeverity(e.level).String())
	if e.body != "" {
		rec.SetBody(attribute.StringValue(e.body))
	}
	rec.AddAttributes(kv.All()...)
	o.logger.Emit(ctx, rec)
}

func otelSeverity(l wide.Level) log.Severity {
	switch l {
	case wide.Info:
		return log.SeverityInfo
	case wide.Warn:
		return log.SeverityWarn
	}
	return log.SeverityError
}
