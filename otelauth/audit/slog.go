// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/internal/wide"
	"github.com/otelauth/otelauth-go/otelauth/internal/slogevent"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// SlogObserver writes the events of attempts to a [slog.Handler]: the same attributes under the
// same keys, the name of the event as the message, and trace_id and span_id. Make it with
// [NewSlog]. It is safe for concurrent use.
type SlogObserver struct {
	handler slog.Handler
	folder  *wide.Folder
}

var (
	_ attempt.Observer          = (*SlogObserver)(nil)
	_ attempt.AnonymousObserver = (*SlogObserver)(nil)
	_ attempt.NoticeObserver    = (*SlogObserver)(nil)
	_ attempt.Flusher           = (*SlogObserver)(nil)
)

// NewSlog returns a SlogObserver that writes to h. Default: the handler that [slog.Default] has
// now. It ignores the errors of h, so a full disk fails no authentication. A request without a
// Time makes a record without one. The zero [Events] decides which events are written
// individually.
func NewSlog(h slog.Handler) *SlogObserver {
	o, _ := NewSlogEvents(h, Events{}) // the zero Events is valid
	return o
}

// NewSlogEvents is [NewSlog] with an [Events]. It returns all errors of e, joined.
func NewSlogEvents(h slog.Handler, e Events) (*SlogObserver, error) {
	if h == nil {
		h = slog.Default().Handler() //nolint:forbidigo // what nil is documented to mean
	}
	o := &SlogObserver{handler: h}
	var err error
	if o.folder, err = e.folder(o.suppressed); err != nil {
		return nil, err
	}
	return o, nil
}

// Begin returns ctx.
func (o *SlogObserver) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

// Decide returns nil: the event waits for the response.
func (o *SlogObserver) Decide(context.Context, *attempt.Request, *attempt.Result) error { return nil }

// End writes the event "auth.attempt", unless the event is folded.
func (o *SlogObserver) End(ctx context.Context, req *attempt.Request, res *attempt.Result, resp *attempt.Response) {
	lvl := slogLevel(wide.Severity(res.Outcome))
	if !o.handler.Enabled(ctx, lvl) || !o.folder.Attempt(ctx, req, res, resp) {
		return
	}
	var kv wide.Attributes
	kv.Attempt(req, res, resp)
	o.write(wide.Spanned(ctx, req), wide.VerdictTime(req, res), lvl, semconv.EventAttempt, &kv)
}

// Anonymous writes "auth.public.response" if a public endpoint answered 401 or 403, unless the
// event is folded.
func (o *SlogObserver) Anonymous(ctx context.Context, req *attempt.Request, resp *attempt.Response) {
	if !wide.IsDenial(resp) || !o.handler.Enabled(ctx, slog.LevelWarn) || !o.folder.Public(ctx, req, resp) {
		return
	}
	var kv wide.Attributes
	kv.Public(req, resp)
	o.write(wide.Spanned(ctx, req), req.Time, slog.LevelWarn, semconv.EventPublicResponse, &kv)
}

// Notice writes an event named after the kind of n, its message under the key "body".
func (o *SlogObserver) Notice(ctx context.Context, n attempt.Notice) {
	lvl := slogLevel(wide.NoticeLevel(&n))
	if !o.handler.Enabled(ctx, lvl) {
		return
	}
	var kv wide.Attributes
	kv.Str("body", n.Message, wide.MaxMessageBytes)
	kv.Notice(&n)
	o.write(ctx, n.Time, lvl, string(n.Kind), &kv)
}

// Flush writes the folded events now instead of at the end of their periods.
func (o *SlogObserver) Flush() { o.folder.Flush() }

// suppressed writes a folded event.
func (o *SlogObserver) suppressed(f *wide.Fold, now time.Time) {
	ctx, lvl := context.Background(), slogLevel(f.Level())
	if !o.handler.Enabled(ctx, lvl) {
		return
	}
	var kv wide.Attributes
	kv.Suppressed(f)
	o.write(ctx, now, lvl, semconv.EventEventsSuppressed, &kv)
}

func (o *SlogObserver) write(ctx context.Context, at time.Time, lvl slog.Level, name string, kv *wide.Attributes) {
	_ = slogevent.Write(ctx, o.handler, at, lvl, name, trace.SpanContextFromContext(ctx), kv.All())
}

func slogLevel(l wide.Level) slog.Level {
	switch l {
	case wide.Info:
		return slog.LevelInfo
	case wide.Warn:
		return slog.LevelWarn
	}
	return slog.LevelError
}
