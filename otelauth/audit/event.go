// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// Bounds of the values that [attempt.Request] does not bound, in bytes.
const (
	maxNameBytes    = 256
	maxRouteBytes   = 1024
	maxMessageBytes = 512
)

// level is the severity of an event, for both observers.
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

// inlineAttributes is the number of attributes that an event has without an allocation.
const inlineAttributes = 24

// attributes is the list of attributes of an event. It is on the stack of the caller, which a
// slice that is appended to through a pointer would not be. Attributes beyond inlineAttributes
// cost an allocation; none is dropped.
type attributes struct {
	list [inlineAttributes]attribute.KeyValue
	n    int
	more []attribute.KeyValue
}

func (a *attributes) add(kv attribute.KeyValue) {
	if a.n == len(a.list) {
		a.more = append(a.more, kv)
		return
	}
	a.list[a.n] = kv
	a.n++
}

func (a *attributes) all() []attribute.KeyValue {
	if len(a.more) > 0 {
		return slices.Concat(a.list[:], a.more)
	}
	return a.list[:a.n]
}

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

// keyRequestID is the key of the header X-Request-Id.
const keyRequestID = semconv.KeyHTTPRequestHeader + ".x-request-id"

// request adds the caller and the endpoint, within the bounds of package attempt.
func (a *attributes) request(req *attempt.Request) {
	client := req.ClientAddress()
	a.str(semconv.KeyClientAddress, client, maxNameBytes)
	a.num(semconv.KeyClientPort, int(req.ClientPort))
	if req.Peer.IsValid() {
		a.str(semconv.KeyNetworkPeerAddress, peerText(req, client), maxNameBytes)
		a.num(semconv.KeyNetworkPeerPort, int(req.Peer.Port()))
	}
	a.str(semconv.KeyHTTPRequestMethod, attempt.KnownMethod(req.Method), maxNameBytes)
	a.str(semconv.KeyHTTPRoute, req.Route, maxRouteBytes)
	a.str(semconv.KeyURLPath, req.Path, attempt.MaxPathBytes)
	a.str(semconv.KeyUserAgentOriginal, req.UserAgent, attempt.MaxUserAgentBytes)
	if req.RequestID != "" {
		a.add(attribute.StringSlice(keyRequestID, []string{attempt.Text(req.RequestID, maxNameBytes)}))
	}
}

// peerText returns the address of the peer. It reuses the string of the client, which is the peer
// if there is no proxy.
func peerText(req *attempt.Request, client string) string {
	peer := plainAddr(req.Peer.Addr())
	if peer == plainAddr(req.Client) {
		return client
	}
	return peer.String()
}

func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// status adds the status if it is one of HTTP, because a handler may choose any number.
func (a *attributes) status(resp *attempt.Response) {
	if resp.Status >= 100 && resp.Status <= 599 {
		a.num(semconv.KeyHTTPResponseStatusCode, resp.Status)
	}
}

func (a *attributes) attempt(req *attempt.Request, res *attempt.Result, resp *attempt.Response) {
	a.str(semconv.KeyScheme, req.Scheme.String(), maxNameBytes)
	a.str(semconv.KeyOutcome, res.Outcome.String(), maxNameBytes)
	a.str(semconv.KeyUserName, res.UserName, maxNameBytes)
	a.str(semconv.KeyUserHash, res.UserHash, maxNameBytes)
	a.request(req)
	a.status(resp)
	a.flag(semconv.KeyResponseElsewhere, resp.Elsewhere)
	a.str(semconv.KeyCacheResult, res.Cache.String(), maxNameBytes)
	a.str(semconv.KeyPasswordScheme, res.Hash.Scheme, maxNameBytes)
	a.flag(semconv.KeyPasswordRehashNeeded, res.RehashNeeded)
	a.flag(semconv.KeyCredentialsExposed, req.Exposed)
	a.flag(semconv.KeyCredentialsPrevious, res.PreviousCredential)
	if res.Outcome == attempt.Success {
		a.str(semconv.KeyReason, string(resp.Reason), maxNameBytes)
		a.str(semconv.KeyRule, resp.Rule, maxRouteBytes)
	} else {
		a.str(semconv.KeyErrorType, res.ErrorType.String(), maxNameBytes)
		a.str(semconv.KeyReason, string(res.Reason), maxNameBytes)
	}
	if res.Outcome == attempt.Error && res.Err != nil {
		a.str(semconv.KeyExceptionMessage, res.Err.Error(), maxMessageBytes)
	}
}

// verdictTime returns the time of the verdict; the zero Time if the request has no Time.
func verdictTime(req *attempt.Request, res *attempt.Result) time.Time {
	if req.Time.IsZero() {
		return time.Time{}
	}
	return req.Time.Add(res.Duration)
}

// isDenial reports whether a public endpoint refused the caller, which is an event.
func isDenial(resp *attempt.Response) bool { return resp.Status == 401 || resp.Status == 403 }

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
		a.str(semconv.KeyAccountSource, n.Source, maxRouteBytes)
		a.add(attribute.Int(semconv.KeyAccountCount, n.Accounts))
	}
	a.str(semconv.KeyThrottleActor, n.Actor, maxNameBytes)
	a.str(semconv.KeyThrottleReason, n.Why, maxMessageBytes)
	a.str(semconv.KeyUserHash, n.UserHash, maxNameBytes)
	if n.Network.IsValid() {
		a.add(attribute.String(semconv.KeyThrottleNetwork, n.Network.String()))
	}
	if n.Err != nil {
		a.str(semconv.KeyExceptionMessage, n.Err.Error(), maxMessageBytes)
	}
}

// spanned returns a context with the span whose ids an event carries: the server span of ctx,
// otherwise the auth span. A remote span is that of the caller.
func spanned(ctx context.Context, req *attempt.Request) context.Context {
	if isLocal(trace.SpanContextFromContext(ctx)) {
		return ctx
	}
	if span, ok := req.Span.(trace.Span); ok {
		return trace.ContextWithSpan(ctx, span)
	}
	return ctx
}

// spanOf returns the ids of the span that spanned selects; invalid if there is only the span of
// the caller.
func spanOf(ctx context.Context, req *attempt.Request) trace.SpanContext {
	if sc := trace.SpanContextFromContext(ctx); isLocal(sc) {
		return sc
	}
	if span, ok := req.Span.(trace.Span); ok {
		return span.SpanContext()
	}
	return trace.SpanContext{}
}

// isLocal reports whether a span belongs to this process.
func isLocal(sc trace.SpanContext) bool { return sc.IsValid() && !sc.IsRemote() }
