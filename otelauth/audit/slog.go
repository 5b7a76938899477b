// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/slogevent"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// SlogObserver writes the events of attempts to a [slog.Handler]: the same attributes under the
// same keys, the name of the event as the message, and trace_id and span_id. Make it with
// [NewSlog]. It is safe for concurrent use.
type SlogObserver struct {
	handler slog.Handler
	folder  *folder
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
	if o.folder, err = newFolder(e, o.suppressed); err != nil {
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
	lvl := slogLevel(severity(res.Outcome))
	if !o.handler.Enabled(ctx, lvl) || !o.folder.attempt(ctx, req, res, resp) {
		return
	}
	var kv attributes
	kv.attempt(req, res, resp)
	o.write(spanned(ctx, req), verdictTime(req, res), lvl, semconv.EventAttempt, &kv)
}

// Anonymous writes "auth.public.response" if a public endpoint answered 401 or 403, unless the
// event is folded.
func (o *SlogObserver) Anonymous(ctx context.Context, req *attempt.Request, resp *attempt.Response) {
	if !isDenial(resp) || !o.handler.Enabled(ctx, slog.LevelWarn) || !o.folder.public(ctx, req, resp) {
		return
	}
	var kv attributes
	kv.public(req, resp)
	o.write(spanned(ctx, req), req.Time, slog.LevelWarn, semconv.EventPublicResponse, &kv)
}

// Notice writes an event named after the kind of n, its message under the key "body".
func (o *SlogObserver) Notice(ctx context.Context, n attempt.Notice) {
	lvl := slogLevel(noticeLevel(&n))
	if !o.handler.Enabled(ctx, lvl) {
		return
	}
	var kv attributes
	kv.str("body", n.Message, maxMessageBytes)
	kv.notice(&n)
	o.write(ctx, n.Time, lvl, string(n.Kind), &kv)
}

// Flush writes the folded events now instead of at the end of their periods.
func (o *SlogObserver) Flush() { o.folder.Flush() }

// suppressed writes a folded event.
func (o *SlogObserver) suppressed(f *fold, now time.Time) {
	ctx, lvl := context.Background(), slogLevel(f.level())
	if !o.handler.Enabled(ctx, lvl) {
		return
	}
	var kv attributes
	kv.suppressed(f)
	o.write(ctx, now, lvl, semconv.EventEventsSuppressed, &kv)
}

func (o *SlogObserver) write(ctx context.Context, at time.Time, lvl slog.Level, name string, kv *attributes) {
	_ = slogevent.Write(ctx, o.handler, at, lvl, name, trace.SpanContextFromContext(ctx), kv.all())
}

func slogLevel(l level) slog.Level {
	switch l {
	case info:
		return slog.LevelInfo
	case warn:
		return slog.LevelWarn
	}
	return slog.LevelError
}
