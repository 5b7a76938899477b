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

// spanRef identifies a span of this process, as the parent of another. It has no trace state,
// because a client may have chosen that, at any length.
type spanRef struct {
	id    trace.SpanID
	flags trace.TraceFlags
}

// spanOf returns the trace of an attempt and its server span, or else the span of the attempt
// itself. If there is only the client's span, ref is zero: a client must not choose the parent of
// our spans.
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

// marker adds detections to traces.
type marker struct {
	tracer trace.Tracer // nil if the provider drops all spans
	now    func() time.Time
}

func newMarker(cfg *Config) (m marker) {
	m.now = cfg.Now
	if _, off := cfg.TracerProvider.(noop.TracerProvider); !off {
		m.tracer = cfg.TracerProvider.Tracer(ScopeName, trace.WithSchemaURL(authconv.SchemaURL), trace.WithInstrumentationVersion(authconv.Version()))
	}
	return m
}

// mark creates a span from the attempt to now, for samplers that look at whole traces. The
// provider's sampler sees whether the parent was sampled. If it was not, most samplers drop its
// children too.
func (m *marker) mark(rule ruleID, episode uint64, s *sample) { m.add(&described[rule], episode, s) }

func (m *marker) add(r *Rule, episode uint64, s *sample) {
	if m.tracer == nil || !s.trace.IsValid() || !s.span.id.IsValid() {
		return
	}
	// The parent is not remote: samplers and backends take the child of a remote span as an entry
	// point.
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: s.trace, SpanID: s.span.id, TraceFlags: s.span.flags,
	}))
	// A sampler sees only attributes that are passed to Start.
	_, span := m.tracer.Start(ctx, authconv.SpanDetection, trace.WithTimestamp(s.at), trace.WithAttributes(
		semconv.SecurityRuleName(r.Name),
		attribute.String(authconv.KeyDetectionSeverity, r.Severity.String()),
		attribute.String(authconv.KeyDetectionEpisode, episodeText(episode)),
	))
	end := m.now()
	if end.Before(s.at) {
		end = s.at
	}
	span.End(trace.WithTimestamp(end))
}
