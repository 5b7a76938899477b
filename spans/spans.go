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
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// ScopeName is the name of the instrumentation scope of the spans.
const ScopeName = "github.com/otelauth/otelauth-go/spans"

// Config is the configuration of [New]. The zero Config uses the global TracerProvider and is for
// HTTP Basic Auth.
type Config struct {
	// TracerProvider makes the spans. Default: [otel.GetTracerProvider].
	TracerProvider trace.TracerProvider
	// Scheme ends the name of the span, as in "authenticate bearer". It is the scheme that the
	// service asks for and not the one that a client sent, so names do not vary with clients.
	// Default: [attempt.SchemeBasic].
	Scheme attempt.Scheme
}

// Observer makes the spans of attempts. Make it with [New]. It is safe for concurrent use.
type Observer struct {
	tracer trace.Tracer // nil: own spans would not be recorded
	name   string
}

var (
	_ attempt.Observer          = (*Observer)(nil)
	_ attempt.AnonymousObserver = (*Observer)(nil)
)

// New returns an Observer, or an error if Scheme is not a token (RFC 9110 section 11.1) or is
// longer than 32 bytes.
func New(cfg Config) (*Observer, error) {
	if cfg.Scheme == "" {
		cfg.Scheme = attempt.SchemeBasic
	}
	if !isToken(string(cfg.Scheme)) {
		return nil, fmt.Errorf("spans: Config.Scheme %q is not the name of an authentication scheme; use letters, digits and hyphens",
			cfg.Scheme)
	}
	if cfg.TracerProvider == nil {
		cfg.TracerProvider = otel.GetTracerProvider()
	}
	o := &Observer{name: semconv.SpanAuthenticate + " " + string(cfg.Scheme)}
	if _, off := cfg.TracerProvider.(noop.TracerProvider); !off {
		o.tracer = cfg.TracerProvider.Tracer(ScopeName,
			trace.WithSchemaURL(semconv.SchemaURL), trace.WithInstrumentationVersion(semconv.Version()))
	}
	return o, nil
}

// isToken reports whether s is a token of at most 32 bytes.
func isToken(s string) bool {
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

// Begin starts the auth span as a child of the span in ctx and sets req.Span. It returns ctx if
// the provider makes no spans.
func (o *Observer) Begin(ctx context.Context, req *attempt.Request) context.Context {
	if o.tracer == nil {
		return ctx
	}
	// No options: INTERNAL is the default kind, and each option would be an allocation.
	inner, span := o.tracer.Start(ctx, o.name)
	// A tracer without an SDK returns the parent, or no span. Neither is to be ended here.
	id := span.SpanContext().SpanID()
	if !id.IsValid() || id == trace.SpanContextFromContext(ctx).SpanID() {
		return ctx
	}
	req.Span = span
	return inner
}

// Decide records the verdict on the auth span and on the server span, and ends the auth span. It
// returns nil.
func (o *Observer) Decide(ctx context.Context, req *attempt.Request, res *attempt.Result) error {
	own, _ := req.Span.(trace.Span)
	ownRecords := own != nil && own.IsRecording()
	if res.Hash.Ran() && ownRecords {
		o.recordHash(trace.ContextWithSpan(ctx, own), &res.Hash)
	}

	server := trace.SpanFromContext(req.Context)
	serverRecords := server.IsRecording()
	if serverRecords && own != nil {
		// By SpanID: == panics on spans of types that cannot be compared. A remote parent never
		// records.
		serverRecords = server.SpanContext().SpanID() != own.SpanContext().SpanID()
	}

	if ownRecords || serverRecords {
		buf := buffers.Get().(*buffer)
		shared := buf.fill(req, res)
		if serverRecords {
			server.SetAttributes(buf.attrs[:shared]...)
		}
		if ownRecords {
			own.SetAttributes(buf.attrs...)
			if isError(res.Outcome) {
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

// Anonymous records a caller that needed no credentials on the server span: the route, and the
// address in place of the one that otelhttp took from the caller.
func (o *Observer) Anonymous(_ context.Context, req *attempt.Request, _ *attempt.Response) {
	server := trace.SpanFromContext(req.Context)
	if !server.IsRecording() || server.SpanContext().IsRemote() {
		return
	}
	buf := buffers.Get().(*buffer)
	buf.caller(req)
	server.SetAttributes(buf.attrs...)
	buf.release()
}

// End does nothing: the server span already has the status of the response.
func (o *Observer) End(context.Context, *attempt.Request, *attempt.Result, *attempt.Response) {}

// recordHash records the hash as a span of its own, because it is the one part of an attempt that
// takes milliseconds.
func (o *Observer) recordHash(ctx context.Context, run *attempt.HashRun) {
	if o.tracer == nil {
		return
	}
	_, span := o.tracer.Start(ctx, semconv.SpanVerifyPassword, trace.WithTimestamp(run.Start))
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String(semconv.KeyPasswordScheme, attempt.Text(run.Scheme, maxNameBytes)),
			attribute.String(semconv.KeyOutcome, run.Outcome.String()),
		)
	}
	span.End(trace.WithTimestamp(run.Start.Add(run.Duration)))
}

// isError reports whether the status of the auth span is Error.
func isError(o attempt.Outcome) bool { return o != attempt.Success && o != attempt.Missing }

// maxNameBytes bounds each value on a span, because a service that fills a Request itself may not
// bound it.
const maxNameBytes = 256

// buffer holds the attributes of one attempt, those of the server span first. It grows with the
// number of attributes. The SDK copies them, so buffers are pooled, which saves the only
// allocation here.
type buffer struct {
	attrs []attribute.KeyValue
}

var buffers = sync.Pool{New: func() any { return &buffer{make([]attribute.KeyValue, 0, 16)} }}

func (b *buffer) add(key attribute.Key, value string) {
	if value != "" {
		b.attrs = append(b.attrs, key.String(value))
	}
}

// fill adds the attributes and returns how many of them are for the server span.
func (b *buffer) fill(req *attempt.Request, res *attempt.Result) (shared int) {
	b.add(semconv.KeyOutcome, res.Outcome.String())
	b.add(semconv.KeyScheme, attempt.Text(req.Scheme.String(), maxNameBytes))
	b.add(semconv.KeyUserName, attempt.Text(res.UserName, maxNameBytes))
	b.add(semconv.KeyUserHash, attempt.Text(res.UserHash, maxNameBytes))
	b.caller(req)
	shared = len(b.attrs)
	b.add(semconv.KeyHTTPRequestMethod, attempt.KnownMethod(req.Method))
	b.add(semconv.KeyCacheResult, res.Cache.String())
	if res.Outcome != attempt.Success {
		b.add(semconv.KeyErrorType, res.ErrorType.String())
		b.add(semconv.KeyReason, attempt.Text(string(res.Reason), maxNameBytes))
	}
	return shared
}

func (b *buffer) caller(req *attempt.Request) {
	b.add(semconv.KeyClientAddress, attempt.Text(req.ClientAddress(), maxNameBytes))
	b.add(semconv.KeyHTTPRoute, attempt.Text(req.Route, maxNameBytes))
}

// release empties the buffer first, because a pooled value outlives the request.
func (b *buffer) release() {
	clear(b.attrs)
	b.attrs = b.attrs[:0]
	buffers.Put(b)
}
