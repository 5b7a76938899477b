// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
)

// SpanName is the name of the span that a finding leaves in the trace of its attempt.
const SpanName = EventName

// spanRef is a span of this process, to be a parent. Its trace state is not kept: a caller may have chosen it, at any length.
type spanRef struct {
	id    trace.SpanID
	flags trace.TraceFlags
}

// spanOf returns the trace of an attempt, and the server span in it, or else the attempt's own. Where there is only the
// caller's span, ref is zero: nothing of ours hangs beneath what a client chose.
func spanOf(ctx context.Context, req *attempt.Request) (id trace.TraceID, ref spanRef) {
	var sc trace.SpanContext
	if req.Context != nil {
		sc = trace.SpanContextFromContext(req.Context)
	}
	if !sc.IsValid() || sc.IsRemote() {
		if span, ok := req.Span.(trace.Span); ok {
			sc = span.SpanContext()
		} else if inner := trace.SpanContextFromContext(ctx); inner.IsValid() {
			sc = inner
		}
	}
	if sc.IsValid() && !sc.IsRemote() {
		ref = spanRef{sc.SpanID(), sc.TraceFlags()}
	}
	return sc.TraceID(), ref
}

// marker puts findings into traces.
type marker struct {
	tracer trace.Tracer // nil: spans would go nowhere
	now    func() time.Time
}

func newMarker(cfg *Config) (m marker) {
	m.now = cfg.Now
	if _, off := cfg.TracerProvider.(noop.TracerProvider); !off {
		m.tracer = cfg.TracerProvider.Tracer(ScopeName, trace.WithSchemaURL(authconv.SchemaURL), trace.WithInstrumentationVersion(authconv.Version()))
	}
	return m
}

// mark makes a span from the attempt to now, for a sampler that looks at whole traces. The provider's own sampler is told
// whether the parent was sampled: where the server span was not, none of its children is, unless the sampler wants it so.
func (m *marker) mark(rule ruleID, episode uint64, s *sample) {
	if m.tracer == nil || !s.trace.IsValid() || !s.span.id.IsValid() {
		return
	}
	// The parent is of this process, so not remote: samplers and backends take what is for an entrance.
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: s.trace, SpanID: s.span.id, TraceFlags: s.span.flags,
	}))
	r := &rules[rule]
	// The attributes come with the start, where a sampler sees them.
	_, span := m.tracer.Start(ctx, SpanName, trace.WithTimestamp(s.at), trace.WithAttributes(
		semconv.SecurityRuleName(r.Name),
		attribute.String(KeySeverity, r.Severity.String()),
		attribute.String(KeyEpisode, episodeText(episode)),
	))
	end := m.now()
	if end.Before(s.at) {
		end = s.at
	}
	span.End(trace.WithTimestamp(end))
}
