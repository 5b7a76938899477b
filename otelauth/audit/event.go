// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// Bounds of the values that [attempt.Request] does not bound, in bytes.
const (
	maxNameBytes    = 256
	maxRouteBytes   = 1024
	maxMessageBytes = 512
)

// level is the severity of an event, for both kinds of observer.
type level uint8

const (
	info level = iota
	warn
	fail
)

func severity(o attempt.Outcome) level {
	switch o {
	case attempt.Success:
		return info
	case attempt.Missing, attempt.Malformed, attempt.Failure, attempt.Throttled:
		return warn
	}
	return fail
}

// attributes is the list that an event is built in. It lives on the stack of the caller, which an append through a
// pointer would not; no event has as many as fit.
type attributes struct {
	list [24]attribute.KeyValue
	n    int
}

func (a *attributes) add(kv attribute.KeyValue) {
	if a.n < len(a.list) {
		a.list[a.n] = kv
		a.n++
	}
}

func (a *attributes) all() []attribute.KeyValue { return a.list[:a.n] }

func (a *attributes) str(key attribute.Key, value string, maxBytes int) {
	if value != "" {
		a.add(key.String(attempt.Text(value, maxBytes)))
	}
}

func (a *attributes) num(key attribute.Key, value int) {
	if value != 0 {
		a.add(key.Int(value))
	}
}

func (a *attributes) flag(key attribute.Key, value bool) {
	if value {
		a.add(key.Bool(true))
	}
}

// request adds what is known of the caller and the endpoint, in the bounds of attempt.
func (a *attributes) request(req *attempt.Request) {
	client := req.ClientAddress()
	a.str(semconv.ClientAddressKey, client, maxNameBytes)
	a.num(semconv.ClientPortKey, int(req.ClientPort))
	if req.Peer.IsValid() {
		a.str(semconv.NetworkPeerAddressKey, peerText(req, client), maxNameBytes)
		a.num(semconv.NetworkPeerPortKey, int(req.Peer.Port()))
	}
	a.str(semconv.HTTPRequestMethodKey, attempt.KnownMethod(req.Method), maxNameBytes)
	a.str(semconv.HTTPRouteKey, req.Route, maxRouteBytes)
	a.str(semconv.URLPathKey, req.Path, attempt.MaxPathBytes)
	a.str(semconv.UserAgentOriginalKey, req.UserAgent, attempt.MaxUserAgentBytes)
	if req.RequestID != "" {
		a.add(semconv.HTTPRequestHeader("x-request-id", attempt.Text(req.RequestID, maxNameBytes)))
	}
}

// peerText spares the string of a peer who is the client, as every caller without a proxy is.
func peerText(req *attempt.Request, client string) string {
	peer := plainAddr(req.Peer.Addr())
	if peer == plainAddr(req.Client) {
		return client
	}
	return peer.String()
}

func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// status adds a status of HTTP; a handler may have chosen any number.
func (a *attributes) status(resp *attempt.Response) {
	if resp.Status >= 100 && resp.Status <= 599 {
		a.num(semconv.HTTPResponseStatusCodeKey, resp.Status)
	}
}

func (a *attributes) attempt(req *attempt.Request, res *attempt.Result, resp *attempt.Response) {
	a.str(attempt.KeyScheme, req.Scheme.String(), maxNameBytes)
	a.str(attempt.KeyOutcome, res.Outcome.String(), maxNameBytes)
	a.str(semconv.UserNameKey, res.UserName, maxNameBytes)
	a.str(semconv.UserHashKey, res.UserHash, maxNameBytes)
	a.request(req)
	a.status(resp)
	a.flag(attempt.KeyResponseElsewhere, resp.Elsewhere)
	a.str(attempt.KeyCacheResult, res.Cache.String(), maxNameBytes)
	a.str(attempt.KeyPasswordScheme, res.Hash.Scheme, maxNameBytes)
	a.flag(attempt.KeyRehashNeeded, res.RehashNeeded)
	a.flag(attempt.KeyCredentialsExposed, req.Exposed)
	a.flag(attempt.KeyCredentialsFormer, res.FormerCredential)
	if res.Outcome != attempt.Success {
		a.str(semconv.ErrorTypeKey, res.ErrorType.String(), maxNameBytes)
		a.str(attempt.KeyReason, string(res.Reason), maxNameBytes)
	}
	if res.Outcome == attempt.Error && res.Err != nil {
		a.str(semconv.ExceptionMessageKey, res.Err.Error(), maxMessageBytes)
	}
}

// verdictTime is the zero Time when the caller did not say when the attempt began.
func verdictTime(req *attempt.Request, res *attempt.Result) time.Time {
	if req.Time.IsZero() {
		return time.Time{}
	}
	return req.Time.Add(res.Duration)
}

// anonymous reports whether the answer to a caller without credentials is worth an event.
func anonymous(resp *attempt.Response) bool { return resp.Status == 401 || resp.Status == 403 }

func (a *attributes) public(req *attempt.Request, resp *attempt.Response) {
	a.request(req)
	a.status(resp)
}

func noticeLevel(n *attempt.Notice) level {
	switch {
	case n.Err != nil:
		return fail
	case n.Kind == attempt.AccountReload:
		return info
	}
	return warn
}

func (a *attributes) notice(n *attempt.Notice) {
	if n.Kind == attempt.AccountReload {
		a.str(attempt.KeyAccountSource, n.Source, maxRouteBytes)
		a.add(attribute.Int(attempt.KeyAccountCount, n.Accounts))
	}
	a.str(attempt.KeyThrottleActor, n.Actor, maxNameBytes)
	a.str(attempt.KeyThrottleReason, n.Why, maxMessageBytes)
	a.str(semconv.UserHashKey, n.UserHash, maxNameBytes)
	if n.Network.IsValid() {
		a.add(attribute.String(attempt.KeyThrottleNetwork, n.Network.String()))
	}
	if n.Err != nil {
		a.str(semconv.ExceptionMessageKey, n.Err.Error(), maxMessageBytes)
	}
}

// spanned returns a context that carries the span whose ids an event bears: the server span of ctx, or
// else the auth span. A remote span is the caller's, not the server's.
func spanned(ctx context.Context, req *attempt.Request) context.Context {
	if ours(trace.SpanContextFromContext(ctx)) {
		return ctx
	}
	if span, ok := req.Span.(trace.Span); ok {
		return trace.ContextWithSpan(ctx, span)
	}
	return ctx
}

// spanOf returns the ids of that span without a context, invalid when there is only the caller's.
func spanOf(ctx context.Context, req *attempt.Request) trace.SpanContext {
	if sc := trace.SpanContextFromContext(ctx); ours(sc) {
		return sc
	}
	if span, ok := req.Span.(trace.Span); ok {
		return span.SpanContext()
	}
	return trace.SpanContext{}
}

func ours(sc trace.SpanContext) bool { return sc.IsValid() && !sc.IsRemote() }
