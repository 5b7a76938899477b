// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// newProxy returns the handler that forwards a request after all checks.
func (g *Gateway) newProxy(st *state) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:        g.rewrite,
		Transport:      &transport{g: g, upstream: st.upstream},
		ModifyResponse: modifyResponse,
		ErrorHandler:   g.upstreamFailed,
		ErrorLog:       log.New(io.Discard, "", 0), //nolint:forbidigo // silent: the gateway reports each failure by a span, a metric and an event
		BufferPool:     buffers{},
	}
}

// modifyResponse makes sure that the response has exactly one X-Request-Id. The one in
// net/http's writer may be missing, because a 1xx response clears it.
func modifyResponse(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	delete(x.writer.Header(), "X-Request-Id")
	res.Header["X-Request-Id"] = x.ids[:1:1]
	return nil
}

// transport sends a request to the upstream inside a client span. Unlike otelhttp's, the span
// does not record the query.
type transport struct {
	g        *Gateway
	upstream *upstream
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	g := t.g
	x := exchangeOf(r.Context())
	var span trace.Span
	if !g.uninstrumented {
		span = g.startClientSpan(r)
	}
	res, err := t.upstream.RoundTrip(r)
	if err != nil {
		if span != nil {
			t.setAttributes(span, r, semconv.ErrorTypeKey.String(string(failureOf(r.Context(), x, err))))
			span.SetStatus(codes.Error, "")
			span.End()
		}
		return nil, err
	}
	g.signals.upstreamAnswered(r.Context())
	if span != nil {
		t.setAttributes(span, r, semconv.HTTPResponseStatusCode(res.StatusCode))
		if res.StatusCode >= 400 {
			span.SetStatus(codes.Error, "")
		}
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		if span != nil {
			span.End()
		}
		return res, nil
	}
	res.Body = &responseBody{ReadCloser: res.Body, g: g, x: x, ctx: r.Context(), span: span}
	return res, nil
}

// startClientSpan starts the span of the call and writes its context into the header.
func (g *Gateway) startClientSpan(r *http.Request) trace.Span {
	ctx := r.Context()
	if trace.SpanContextFromContext(ctx).IsRemote() && g.mw.Untrusted(r) {
		// The server span records nothing, so the context is still the caller's.
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	ctx, span := g.signals.tracer.Start(ctx, attempt.KnownMethod(r.Method), trace.WithSpanKind(trace.SpanKindClient)) //nolint:spancheck // responseBody ends it
	g.propagators.Inject(ctx, propagation.HeaderCarrier(r.Header))
	return span //nolint:spancheck // see above
}

// callAttributes are the attributes of a client span.
type callAttributes [5]attribute.KeyValue

var callPool = sync.Pool{New: func() any { return new(callAttributes) }}

// setAttributes sets all attributes of the call at once, including result, because the SDK
// copies its attributes with every call.
func (t *transport) setAttributes(span trace.Span, r *http.Request, result attribute.KeyValue) {
	if !span.IsRecording() {
		return
	}
	all := callPool.Get().(*callAttributes)
	*all = callAttributes{
		semconv.HTTPRequestMethodKey.String(attempt.KnownMethod(r.Method)),
		semconv.ServerAddress(t.upstream.address),
		semconv.URLScheme(t.upstream.scheme),
		semconv.URLPath(r.URL.Path),
		result,
	}
	span.SetAttributes(all[:]...)
	callPool.Put(all)
}

// responseBody ends the client span at the end of the body, and detects an upstream that fails
// within the body.
type responseBody struct {
	io.ReadCloser
	g    *Gateway
	x    *exchange
	ctx  context.Context //nolint:containedctx // Read has none
	span trace.Span
	done bool
}

func (b *responseBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !b.done {
		b.done = true
		kind := failure("")
		if !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			kind = failureOf(b.ctx, b.x, err)
			if kind == unreachable {
				kind = aborted
			}
			b.g.signals.upstreamFailed(b.ctx, kind)
		}
		b.end(kind)
	}
	return n, err
}

func (b *responseBody) Close() error {
	if !b.done {
		b.done = true
		b.end("")
	}
	return b.ReadCloser.Close()
}

func (b *responseBody) end(kind failure) {
	if b.span == nil {
		return
	}
	if kind != "" {
		b.span.SetStatus(codes.Error, "")
		b.span.SetAttributes(semconv.ErrorTypeKey.String(string(kind)))
	}
	b.span.End()
}

// failure is why a response is incomplete or missing: the attribute error.type.
type failure string

const (
	unreachable  failure = "upstream_unreachable" // no connection, or no HTTP on it
	timedOut     failure = "upstream_timeout"     // no connection or response in time
	aborted      failure = "upstream_aborted"     // failed in the middle of the response
	disconnected failure = "client_gone"
	stalled      failure = "client_stalled"
	revoked      failure = "revoked" // by Config.MaxStreamAge, or at the end of Config.DrainTimeout
)

// isUpstream reports whether the upstream caused the failure.
func (f failure) isUpstream() bool { return f == unreachable || f == timedOut || f == aborted }

func failureOf(ctx context.Context, x *exchange, err error) failure {
	var timeout net.Error
	switch {
	case x.cut.Load():
		return revoked
	case x.body.stalled.Load():
		return stalled
	case ctx.Err() != nil, x.body.failed.Load():
		return disconnected
	case errors.As(err, &timeout) && timeout.Timeout():
		return timedOut
	}
	return unreachable
}

// statusClientClosedRequest is the status that signals record when the client disconnects before
// an answer. No client receives it. The number is nginx's.
const statusClientClosedRequest = 499

// upstreamFailed answers in place of the upstream. The answer does not contain err, which may
// name hosts.
func (g *Gateway) upstreamFailed(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	delete(x.writer.Header(), "X-Request-Id")
	x.writer.Header()["X-Request-Id"] = x.ids[:1:1]
	kind := failureOf(r.Context(), x, err)
	switch kind {
	case revoked:
		otelauth.RecordRefusal(r.Context(), attempt.ReasonNotPermitted, "")
		answer(w, r, http.StatusForbidden, "This account may no longer do this.")
		return
	case stalled:
		answer(w, r, http.StatusRequestTimeout, "The body of the request stalled: no data arrived in time.")
		return
	case disconnected:
		w.WriteHeader(statusClientClosedRequest)
		return
	case timedOut:
		answer(w, r, http.StatusGatewayTimeout, "The service behind the gateway did not answer in time.")
	default:
		answer(w, r, http.StatusBadGateway, "The service behind the gateway cannot be reached.")
	}
	g.signals.upstreamFailed(r.Context(), kind)
}

// buffers is the pool of buffers through which bodies are copied.
type buffers struct{}

const bufferBytes = 32 << 10

var bufferPool = sync.Pool{New: func() any { return new([bufferBytes]byte) }}

func (buffers) Get() []byte  { return bufferPool.Get().(*[bufferBytes]byte)[:] }
func (buffers) Put(b []byte) { bufferPool.Put((*[bufferBytes]byte)(b)) }
