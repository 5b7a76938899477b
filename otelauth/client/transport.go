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

// ErrUserInfo is the error, by errors.Is, of a request to one of [Config.Origins] whose URL has
// credentials (http://name:password@host).
var ErrUserInfo = errors.New("otelauth/client: the URL has user information; remove it, the Config has the credentials")

// Transport is an [http.RoundTripper] that adds Basic credentials to requests for the origins of
// its [Config]. Create it with [New]; the zero Transport fails every request. It is safe for
// concurrent use.
type Transport struct {
	auth  *authenticator
	outer http.RoundTripper // auth, or otelhttp around it
}

// RoundTrip sends req, with credentials when its URL has one of the origins. Only the URL decides,
// not the Host field. A request with an Authorization key in its header, even without a value, is
// sent unchanged.
//
// After a 401 RoundTrip gets the credentials again. If they changed and the body can be replayed
// (there is none, or GetBody is set), it sends the request once more; otherwise it returns the
// 401.
//
// Errors are [ErrPlaintext], [ErrUserInfo] and the errors of the [Source] and of Base.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.outer == nil {
		closeBody(req)
		return nil, errors.New("otelauth/client: the Transport is not configured; create it with New")
	}
	return t.outer.RoundTrip(req)
}

// CloseIdleConnections closes the idle connections of Base, if Base has such a method.
func (t *Transport) CloseIdleConnections() {
	if t.auth == nil {
		return
	}
	if c, ok := t.auth.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// authenticator is between otelhttp and Base: inside the client span, which it marks, and inside
// of everything that may log a header.
type authenticator struct {
	base           http.RoundTripper
	origins        map[origin]struct{}
	source         source
	isInstrumented bool
}

func (a *authenticator) RoundTrip(req *http.Request) (*http.Response, error) {
	o, ok := originOf(req.URL)
	if ok {
		_, ok = a.origins[o]
	}
	if !ok {
		return a.base.RoundTrip(req)
	}
	// Before the check of Authorization: http.Client creates that field from the user information.
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
	if body, field, ok := a.retry(req, sent); ok {
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

// field returns the value of the Authorization field. It is built for each request and not kept.
func (a *authenticator) field(ctx context.Context, rejected bool) (string, error) {
	name, password, err := a.source.credentials(ctx, rejected)
	if err != nil {
		return "", fmt.Errorf("otelauth/client: cannot get the credentials: %w", err)
	}
	field, err := credential.Encode(name, password)
	if err != nil {
		return "", fmt.Errorf("otelauth/client: the credentials are invalid: %w", err)
	}
	return field, nil
}

// send sends a copy of req. A RoundTripper must not change the original, and http.Client follows
// redirects with the original, which has no Authorization field.
func (a *authenticator) send(req *http.Request, body io.ReadCloser, field string) (*http.Response, error) {
	withField := req.WithContext(req.Context())
	withField.Header = make(http.Header, len(req.Header)+1)
	for k, v := range req.Header {
		withField.Header[k] = v[:len(v):len(v)]
	}
	withField.Header["Authorization"] = []string{field}
	withField.Body = body
	resp, err := a.base.RoundTrip(withField)
	if resp != nil {
		resp.Request = req // the copy holds the password
	}
	return resp, err
}

// retry returns the body and the field of a second try, or false when it is impossible or useless.
func (a *authenticator) retry(req *http.Request, sent string) (io.ReadCloser, string, bool) {
	bodiless := req.Body == nil || req.Body == http.NoBody
	if !bodiless && req.GetBody == nil || req.Context().Err() != nil {
		return nil, "", false
	}
	// When the source fails now, the 401 remains the response.
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

// clientSpan returns the span of this call, or nil. When the Transport is uninstrumented, the span
// in ctx may be the server span of the program, whose auth.outcome belongs to its own client.
func (a *authenticator) clientSpan(ctx context.Context) trace.Span {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return nil
	}
	if !a.isInstrumented {
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

// discard closes a response so that its connection can be reused. It reads only a short body.
func discard(resp *http.Response) {
	const shortBytes = 4 << 10
	if resp.ContentLength >= 0 && resp.ContentLength <= shortBytes {
		_, _ = io.CopyN(io.Discard, resp.Body, resp.ContentLength)
	}
	_ = resp.Body.Close()
}
