// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package spans

import (
	"context"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// ScopeName is the name of the instrumentation scope of the spans.
const ScopeName = "github.com/otelauth/otelauth-go/spans"

// VerifyPasswordName is the name of the span of one run of a password hash function.
const VerifyPasswordName = "verify password"

// Config says where spans go. Its zero value uses the global TracerProvider and is for HTTP Basic Auth.
type Config struct {
	// TracerProvider makes the spans; nil means [otel.GetTracerProvider].
	TracerProvider trace.TracerProvider
	// Scheme ends the name of the span, "authenticate bearer"; "" means [attempt.SchemeBasic]. It is what the
	// service asks for, not what a client sent, so that names do not vary with clients.
	Scheme attempt.Scheme
}

// Observer makes the spans of attempts. Use [New]. It is safe for concurrent use.
type Observer struct {
	tracer trace.Tracer // nil: spans of our own would go nowhere
	name   string
}

var (
	_ attempt.Observer          = (*Observer)(nil)
	_ attempt.AnonymousObserver = (*Observer)(nil)
)

// New returns an Observer. It fails when Scheme has a character that no scheme has (RFC 9110 section 11.1: a
// token) or is longer than 32 bytes.
func New(cfg Config) (*Observer, error) {
	if cfg.Scheme == "" {
		cfg.Scheme = attempt.SchemeBasic
	}
	if !token(string(cfg.Scheme)) {
		return nil, fmt.Errorf("spans: Config.Scheme %q is no name of an authentication scheme: use letters, digits and hyphens",
			cfg.Scheme)
	}
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = otel.GetTracerProvider()
	}
	o := &Observer{name: "authenticate " + string(cfg.Scheme)}
	if _, off := cfg.TracerProvider.(noop.TracerProvider); !off {
		o.tracer = cfg.TracerProvider.Tracer(ScopeName, trace.WithSchemaURL(semconv.SchemaURL))
	}
	return o, nil
}

func token(s string) bool {
	if len(s) > 32 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return s != ""
}

// Begin starts the auth span as a child of whatever span ctx carries and sets req.Span. Without a provider
// that makes spans it returns ctx.
func (o *Observer) Begin(ctx context.Context, req *attempt.Request) context.Context {
	if o.tracer == nil {
		return ctx
	}
	// No options: INTERNAL is the default kind, and each option would be an allocation.
	inner, span := o.tracer.Start(ctx, o.name)
	// A tracer without an SDK hands back the parent, or nothing: no span of ours, and not ours to end.
	id := span.SpanContext().SpanID()
	if !id.IsValid() || id == trace.SpanContextFromContext(ctx).SpanID() {
		return ctx
	}
	req.Span = span
	return inner
}

// Decide writes the verdict on the auth span and on the server span, and ends the auth span. It returns nil.
func (o *Observer) Decide(ctx context.Context, req *attempt.Request, res *attempt.Result) error {
	own, _ := req.Span.(trace.Span)
	ownRecords := own != nil && own.IsRecording()
	if res.Hash.Ran() && ownRecords {
		o.hashed(trace.ContextWithSpan(ctx, own), &res.Hash)
	}

	server := trace.SpanFromContext(req.Context)
	serverRecords := server.IsRecording()
	if serverRecords && own != nil {
		// By SpanID: == panics on spans of types that cannot be compared. A remote parent never records.
		serverRecords = server.SpanContext().SpanID() != own.SpanContext().SpanID()
	}

	if ownRecords || serverRecords {
		buf := buffers.Get().(*buffer)
		shared := buf.fill(req, res)
		if serverRecords {
			server.SetAttributes(buf.attrs[:shared]...)
		}
		if ownRecords {
			own.SetAttributes(buf.attrs[:buf.n]...)
			if failed(res.Outcome) {
				own.SetStatus(codes.Error, res.ErrorType.String())
			}
		}
		buf.release()
	}
	if own != nil {
		own.End()
	}
	return nil
}

// Anonymous writes on the server span what is known of a caller who needed no credentials: the route, and
// the address in place of the one that otelhttp took from the caller.
func (o *Observer) Anonymous(_ context.Context, req *attempt.Request, _ *attempt.Response) {
	server := trace.SpanFromContext(req.Context)
	if !server.IsRecording() || server.SpanContext().IsRemote() {
		return
	}
	buf := buffers.Get().(*buffer)
	buf.caller(req)
	server.SetAttributes(buf.attrs[:buf.n]...)
	buf.release()
}

// End does nothing: the server span has the response's status already.
func (o *Observer) End(context.Context, *attempt.Request, *attempt.Result, *attempt.Response) {}

// hashed records the hash as a span of its own: the one part of an attempt that takes milliseconds.
func (o *Observer) hashed(ctx context.Context, run *attempt.HashRun) {
	if o.tracer == nil {
		return
	}
	_, span := o.tracer.Start(ctx, VerifyPasswordName, trace.WithTimestamp(run.Start))
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String(attempt.KeyPasswordScheme, attempt.Text(run.Scheme, maxNameBytes)),
			attribute.String(attempt.KeyOutcome, run.Outcome.String()),
		)
	}
	span.End(trace.WithTimestamp(run.Start.Add(run.Duration)))
}

func failed(o attempt.Outcome) bool { return o != attempt.Success && o != attempt.Missing }

// maxNameBytes bounds each value on a span. What a client writes is shorter by far; a service that fills a
// Request by itself may not have looked.
const maxNameBytes = 256

// buffer holds the attributes of one attempt, those of the server span first. The SDK copies what it is given, so
// buffers are used again: a slice made for each attempt would be its only allocation of ours.
type buffer struct {
	attrs [10]attribute.KeyValue
	n     int
}

var buffers = sync.Pool{New: func() any { return new(buffer) }}

func (b *buffer) add(key attribute.Key, value string) {
	if value != "" {
		b.attrs[b.n] = key.String(value)
		b.n++
	}
}

// fill writes the attributes and returns how many of them the server span gets.
func (b *buffer) fill(req *attempt.Request, res *attempt.Result) (shared int) {
	b.add(attempt.KeyOutcome, res.Outcome.String())
	b.add(attempt.KeyScheme, attempt.Text(req.Scheme.String(), maxNameBytes))
	b.add(semconv.UserNameKey, attempt.Text(res.UserName, maxNameBytes))
	b.add(semconv.UserHashKey, attempt.Text(res.UserHash, maxNameBytes))
	b.caller(req)
	shared = b.n
	b.add(semconv.HTTPRequestMethodKey, attempt.KnownMethod(req.Method))
	b.add(attempt.KeyCacheResult, res.Cache.String())
	if res.Outcome != attempt.Success {
		b.add(semconv.ErrorTypeKey, res.ErrorType.String())
		b.add(attempt.KeyReason, attempt.Text(string(res.Reason), maxNameBytes))
	}
	return shared
}

func (b *buffer) caller(req *attempt.Request) {
	b.add(semconv.ClientAddressKey, attempt.Text(req.ClientAddress(), maxNameBytes))
	b.add(semconv.HTTPRouteKey, attempt.Text(req.Route, maxNameBytes))
}

// release empties the buffer first: what a pool keeps outlives the request.
func (b *buffer) release() {
	clear(b.attrs[:b.n])
	b.n = 0
	buffers.Put(b)
}
