// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// ErrUserInfo is what a request to one of [Config.Origins] fails with, by errors.Is, when its URL carries
// credentials (http://name:password@host).
var ErrUserInfo = errors.New("otelauth/client: the URL carries user information; take it out, the credentials come from the Config")

// Transport is an [http.RoundTripper] that adds Basic credentials to requests for the origins of its [Config].
// Make it with [New]; the zero Transport fails every request. It is safe for concurrent use.
type Transport struct {
	auth  *authenticator
	outer http.RoundTripper // auth, or otelhttp around it
}

// RoundTrip sends req, with credentials when its URL is of one of the origins. The URL alone decides; the Host
// field does not.
//
// A request that has an Authorization key in its header, even with no value, is sent as it is. On a 401 the
// credentials are asked for again, and when they have changed and the body can be replayed (there is none, or
// GetBody is set) the request is sent once more; otherwise the 401 is the response.
//
// Errors: [ErrPlaintext], [ErrUserInfo], what the [Source] returns, what Base returns.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.outer == nil {
		closeBody(req)
		return nil, errors.New("otelauth/client: zero Transport; make it with New")
	}
	return t.outer.RoundTrip(req)
}

// CloseIdleConnections closes the idle connections of Base if it can.
func (t *Transport) CloseIdleConnections() {
	if t.auth == nil {
		return
	}
	if c, ok := t.auth.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// authenticator stands between otelhttp and Base: inside the client span, so that it can mark it, and
// beneath everything that could write a header down.
type authenticator struct {
	base         http.RoundTripper
	origins      map[origin]struct{}
	source       source
	instrumented bool
}

func (a *authenticator) RoundTrip(req *http.Request) (*http.Response, error) {
	o, ok := originOf(req.URL)
	if ok {
		_, ok = a.origins[o]
	}
	if !ok {
		return a.base.RoundTrip(req)
	}
	// Before the look at Authorization: http.Client has made that field of the user information.
	if req.URL.User != nil {
		closeBody(req)
		return nil, ErrUserInfo
	}
	if hasAuthorization(req.Header) {
		return a.base.RoundTrip(req)
	}

	ctx := req.Context()
	sent, err := a.field(ctx, false)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	resp, err := a.send(req, req.Body, sent)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	if body, field, ok := a.again(req, sent); ok {
		discard(resp)
		resp, err = a.send(req, body, field)
		if span := a.clientSpan(ctx); span != nil {
			span.SetAttributes(attribute.Int(semconv.KeyHTTPRequestResendCount, 1))
		}
		if err != nil || resp.StatusCode != http.StatusUnauthorized {
			return resp, err
		}
	}
	if span := a.clientSpan(ctx); span != nil {
		span.SetAttributes(
			attribute.String(semconv.KeyScheme, attempt.SchemeBasic.String()),
			attribute.String(semconv.KeyOutcome, attempt.Failure.String()),
		)
	}
	return resp, nil
}

// field returns the value of the Authorization field. It is made for each request and kept nowhere.
func (a *authenticator) field(ctx context.Context, rejected bool) (string, error) {
	name, password, err := a.source.credentials(ctx, rejected)
	if err != nil {
		return "", fmt.Errorf("otelauth/client: no credentials: %w", err)
	}
	field, err := credential.Encode(name, password)
	if err != nil {
		return "", fmt.Errorf("otelauth/client: unusable credentials: %w", err)
	}
	return field, nil
}

// send sends a copy of req: a RoundTripper must not change the original, and the original, which has no
// Authorization field, is also what http.Client follows redirects with.
func (a *authenticator) send(req *http.Request, body io.ReadCloser, field string) (*http.Response, error) {
	own := req.WithContext(req.Context())
	own.Header = make(http.Header, len(req.Header)+1)
	for k, v := range req.Header {
		own.Header[k] = v[:len(v):len(v)]
	}
	own.Header["Authorization"] = []string{field}
	own.Body = body
	resp, err := a.base.RoundTrip(own)
	if resp != nil {
		resp.Request = req // the copy holds the password
	}
	return resp, err
}

// again says whether the request is worth a second try, and with what.
func (a *authenticator) again(req *http.Request, sent string) (io.ReadCloser, string, bool) {
	bodiless := req.Body == nil || req.Body == http.NoBody
	if !bodiless && req.GetBody == nil || req.Context().Err() != nil {
		return nil, "", false
	}
	// A source that fails now says nothing about the answer that is here already.
	field, err := a.field(req.Context(), true)
	if err != nil || field == sent {
		return nil, "", false
	}
	if bodiless {
		return req.Body, field, true
	}
	body, err := req.GetBody()
	return body, field, err == nil
}

// clientSpan returns the span of this call, or nil. Without our own otelhttp outside, the span in ctx
// may be the server span of whoever calls, and auth.outcome on that one says how the caller was let in.
func (a *authenticator) clientSpan(ctx context.Context) trace.Span {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return nil
	}
	if !a.instrumented {
		k, ok := span.(interface{ SpanKind() trace.SpanKind })
		if !ok || k.SpanKind() != trace.SpanKindClient {
			return nil
		}
	}
	return span
}

func hasAuthorization(h http.Header) bool {
	for k := range h {
		if len(k) == len("Authorization") && strings.EqualFold(k, "Authorization") {
			return true
		}
	}
	return false
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// discard gives the connection of a refused response back. Only a short body is worth reading for that.
func discard(resp *http.Response) {
	const shortBytes = 4 << 10
	if resp.ContentLength >= 0 && resp.ContentLength <= shortBytes {
		_, _ = io.CopyN(io.Discard, resp.Body, resp.ContentLength)
	}
	_ = resp.Body.Close()
}
