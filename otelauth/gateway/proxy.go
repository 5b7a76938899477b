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

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// newProxy returns what stands behind all checks.
func (g *Gateway) newProxy(st *state) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:        g.rewrite,
		Transport:      &transport{g: g, upstream: st.upstream},
		ModifyResponse: modifyResponse,
		ErrorHandler:   g.upstreamFailed,
		ErrorLog:       log.New(io.Discard, "", 0), //nolint:forbidigo // silent: each of its lines is a span's status, a count and an event of ours
		BufferPool:     buffers{},
	}
}

// modifyResponse keeps one X-Request-Id. That of net/http's writer may have gone with a 1xx response, which clears it.
func modifyResponse(res *http.Response) error {
	x := exchangeOf(res.Request.Context())
	delete(x.writer.Header(), "X-Request-Id")
	res.Header["X-Request-Id"] = x.ids[:1:1]
	return nil
}

// transport sends a request upstream, inside of a client span. Unlike that of otelhttp the span does not tell the query.
type transport struct {
	g        *Gateway
	upstream *upstream
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	g := t.g
	x := exchangeOf(r.Context())
	var span trace.Span
	if !g.blind {
		span = g.startClientSpan(r)
	}
	res, err := t.upstream.RoundTrip(r)
	if err != nil {
		if span != nil {
			t.describe(span, r, semconv.ErrorTypeKey.String(string(failureOf(r.Context(), x, err))))
			span.SetStatus(codes.Error, "")
			span.End()
		}
		return nil, err
	}
	g.signals.upstreamAnswered(r.Context())
	if span != nil {
		t.describe(span, r, semconv.HTTPResponseStatusCode(res.StatusCode))
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

// startClientSpan starts the span of the call, and writes it into the headers.
func (g *Gateway) startClientSpan(r *http.Request) trace.Span {
	ctx := r.Context()
	if trace.SpanContextFromContext(ctx).IsRemote() && g.mw.Untrusted(r) {
		// Nobody traces here, so the context is still the caller's.
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	}
	ctx, span := g.signals.tracer.Start(ctx, attempt.KnownMethod(r.Method), trace.WithSpanKind(trace.SpanKindClient)) //nolint:spancheck // the body of the answer ends it
	g.propagators.Inject(ctx, propagation.HeaderCarrier(r.Header))
	return span //nolint:spancheck // see above
}

// callAttributes are those of a client span.
type callAttributes [5]attribute.KeyValue

var callPool = sync.Pool{New: func() any { return new(callAttributes) }}

// describe writes all attributes of the call at once, result among them: the SDK copies what it has with every call.
func (t *transport) describe(span trace.Span, r *http.Request, result attribute.KeyValue) {
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

// responseBody ends the span with the body, and sees an upstream that dies in the middle of it.
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

// failure is why there is no whole response, the attribute error.type.
type failure string

const (
	unreachable failure = "upstream_unreachable" // no connection, or none that speaks HTTP
	slow        failure = "upstream_timeout"     // no connection or response in time
	aborted     failure = "upstream_aborted"     // died in the middle of the response
	left        failure = "client_gone"
	stalled     failure = "client_stalled"
	revoked     failure = "revoked" // Config.MaxStreamAge, or a drain that was out of time
)

func failureOf(ctx context.Context, x *exchange, err error) failure {
	var timeout net.Error
	switch {
	case x.cut.Load():
		return revoked
	case x.body.stalled.Load():
		return stalled
	case ctx.Err() != nil, x.body.failed.Load():
		return left
	case errors.As(err, &timeout) && timeout.Timeout():
		return slow
	}
	return unreachable
}

// StatusClientClosedRequest is what signals say of a request whose client went away before there was an answer. Nobody
// receives it; nginx has made the number customary.
const StatusClientClosedRequest = 499

// upstreamFailed answers for an upstream that does not. What went wrong is for operators: it may name hosts.
func (g *Gateway) upstreamFailed(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r.Context())
	delete(x.writer.Header(), "X-Request-Id")
	x.writer.Header()["X-Request-Id"] = x.ids[:1:1]
	kind := failureOf(r.Context(), x, err)
	switch kind {
	case revoked:
		answer(w, r, http.StatusForbidden, "The account may no longer do this.")
		return
	case stalled:
		answer(w, r, http.StatusRequestTimeout, "The body of the request stopped coming.")
		return
	case left:
		w.WriteHeader(StatusClientClosedRequest)
		return
	case slow:
		answer(w, r, http.StatusGatewayTimeout, "The service behind the gateway did not answer in time.")
	default:
		answer(w, r, http.StatusBadGateway, "The service behind the gateway could not be reached.")
	}
	g.signals.upstreamFailed(r.Context(), kind)
}

// buffers are what bodies are copied through.
type buffers struct{}

const bufferBytes = 32 << 10

var bufferPool = sync.Pool{New: func() any { return new([bufferBytes]byte) }}

func (buffers) Get() []byte  { return bufferPool.Get().(*[bufferBytes]byte)[:] }
func (buffers) Put(b []byte) { bufferPool.Put((*[bufferBytes]byte)(b)) }
