// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package wide

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
	MaxNameBytes    = 256
	maxRouteBytes   = 1024
	MaxMessageBytes = 512
)

// Level is the severity of an event, for both observers.
type Level uint8

const (
	Info Level = iota
	Warn
	Fail
)

// Severity returns the level of the event of an attempt.
func Severity(o attempt.Outcome) Level {
	switch o {
	case attempt.Success:
		return Info
	case attempt.Missing, attempt.Malformed, attempt.Failure, attempt.Throttled:
		return Warn
	}
	return Fail
}

// inlineAttributes is the number of attributes that an event has without an allocation.
const inlineAttributes = 24

// Attributes is the list of attributes of an event. It is on the stack of the caller, which a
// slice that is appended to through a pointer would not be. Attributes beyond inlineAttributes
// cost an allocation; none is dropped.
type Attributes struct {
	list [inlineAttributes]attribute.KeyValue
	n    int
	more []attribute.KeyValue
}

// Add adds an attribute.
func (a *Attributes) Add(kv attribute.KeyValue) {
	if a.n == len(a.list) {
		a.more = append(a.more, kv)
		return
	}
	a.list[a.n] = kv
	a.n++
}

// All returns the attributes in the order in which they were added.
func (a *Attributes) All() []attribute.KeyValue {
	if len(a.more) > 0 {
		return slices.Concat(a.list[:], a.more)
	}
	return a.list[:a.n]
}

// Str adds a text, cut to maxBytes, unless it is empty.
func (a *Attributes) Str(key attribute.Key, value string, maxBytes int) {
	if value != "" {
		a.Add(key.String(attempt.Text(value, maxBytes)))
	}
}

func (a *Attributes) num(key attribute.Key, value int) {
	if value != 0 {
		a.Add(key.Int(value))
	}
}

func (a *Attributes) flag(key attribute.Key, value bool) {
	if value {
		a.Add(key.Bool(true))
	}
}

// keyRequestID is the key of the header X-Request-Id.
const keyRequestID = semconv.KeyHTTPRequestHeader + ".x-request-id"

// request adds the caller and the endpoint, within the bounds of package attempt.
func (a *Attributes) request(req *attempt.Request) {
	client := req.ClientAddress()
	a.Str(semconv.KeyClientAddress, client, MaxNameBytes)
	a.num(semconv.KeyClientPort, int(req.ClientPort))
	if req.Peer.IsValid() {
		a.Str(semconv.KeyNetworkPeerAddress, peerText(req, client), MaxNameBytes)
		a.num(semconv.KeyNetworkPeerPort, int(req.Peer.Port()))
	}
	a.Str(semconv.KeyHTTPRequestMethod, attempt.KnownMethod(req.Method), MaxNameBytes)
	a.Str(semconv.KeyHTTPRoute, req.Route, maxRouteBytes)
	a.Str(semconv.KeyURLPath, req.Path, attempt.MaxPathBytes)
	a.Str(semconv.KeyUserAgentOriginal, req.UserAgent, attempt.MaxUserAgentBytes)
	if req.RequestID != "" {
		a.Add(attribute.StringSlice(keyRequestID, []string{attempt.Text(req.RequestID, MaxNameBytes)}))
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
func (a *Attributes) status(resp *attempt.Response) {
	if resp.Status >= 100 && resp.Status <= 599 {
		a.num(semconv.KeyHTTPResponseStatusCode, resp.Status)
	}
}

// Attempt adds the attributes of an attempt and its response.
func (a *Attributes) Attempt(req *attempt.Request, res *attempt.Result, resp *attempt.Response) {
	a.Str(semconv.KeyScheme, req.Scheme.String(), MaxNameBytes)
	a.Str(semconv.KeyOutcome, res.Outcome.String(), MaxNameBytes)
	a.Str(semconv.KeyUserName, res.UserName, MaxNameBytes)
	a.Str(semconv.KeyUserHash, res.UserHash, MaxNameBytes)
	a.request(req)
	a.status(resp)
	a.flag(semconv.KeyResponseElsewhere, resp.Elsewhere)
	a.Str(semconv.KeyCacheResult, res.Cache.String(), MaxNameBytes)
	a.Str(semconv.KeyPasswordScheme, res.Hash.Scheme, MaxNameBytes)
	a.flag(semconv.KeyPasswordRehashNeeded, res.RehashNeeded)
	a.flag(semconv.KeyCredentialsExposed, req.Exposed)
	a.flag(semconv.KeyCredentialsPrevious, res.PreviousCredential)
	if res.Outcome == attempt.Success {
		a.Str(semconv.KeyReason, string(resp.Reason), MaxNameBytes)
		a.Str(semconv.KeyRule, resp.Rule, maxRouteBytes)
	} else {
		a.Str(semconv.KeyErrorType, res.ErrorType.String(), MaxNameBytes)
		a.Str(semconv.KeyReason, string(res.Reason), MaxNameBytes)
	}
	if res.Outcome == attempt.Error && res.Err != nil {
		a.Str(semconv.KeyExceptionMessage, res.Err.Error(), MaxMessageBytes)
	}
}

// Response adds the outcome and the response of an attempt.
func (a *Attributes) Response(res *attempt.Result, resp *attempt.Response) {
	a.Str(semconv.KeyOutcome, res.Outcome.String(), MaxNameBytes)
	a.status(resp)
	a.flag(semconv.KeyResponseElsewhere, resp.Elsewhere)
	if res.Outcome != attempt.Success {
		a.Str(semconv.KeyErrorType, res.ErrorType.String(), MaxNameBytes)
	}
}

// VerdictTime returns the time of the verdict; the zero Time if the request has no Time.
func VerdictTime(req *attempt.Request, res *attempt.Result) time.Time {
	if req.Time.IsZero() {
		return time.Time{}
	}
	return req.Time.Add(res.Duration)
}

// IsDenial reports whether a public endpoint refused the caller, which is an event.
func IsDenial(resp *attempt.Response) bool { return resp.Status == 401 || resp.Status == 403 }

// Public adds the attributes of the response of a public endpoint.
func (a *Attributes) Public(req *attempt.Request, resp *attempt.Response) {
	a.request(req)
	a.status(resp)
}

// NoticeLevel returns the level of the event of a notice.
func NoticeLevel(n *attempt.Notice) Level {
	switch {
	case n.Err != nil:
		return Fail
	case n.Kind == attempt.AccountReload:
		return Info
	}
	return Warn
}

// Notice adds the attributes of a notice.
func (a *Attributes) Notice(n *attempt.Notice) {
	if n.Kind == attempt.AccountReload {
		a.Str(semconv.KeyAccountSource, n.Source, maxRouteBytes)
		a.Add(attribute.Int(semconv.KeyAccountCount, n.Accounts))
	}
	var actor, reason, network attribute.Key = semconv.KeyThrottleActor, semconv.KeyThrottleReason, semconv.KeyThrottleNetwork
	if n.Kind == attempt.OperatorAct {
		actor, reason, network = semconv.KeyOperatorActor, semconv.KeyOperatorReason, semconv.KeyOperatorNetwork
		a.act(&n.Act)
	}
	a.Str(actor, n.Actor, MaxNameBytes)
	a.Str(reason, n.Why, MaxMessageBytes)
	a.Str(semconv.KeyUserHash, n.UserHash, MaxNameBytes)
	if n.Network.IsValid() {
		a.Add(network.String(n.Network.String()))
	}
	if n.Kind == attempt.Coverage {
		a.Str(semconv.KeyCoverageFinding, string(n.Coverage), maxRouteBytes)
		a.Str(semconv.KeyHTTPRoute, n.Route, maxRouteBytes)
		a.Str(semconv.KeyHTTPRequestMethod, n.Method, maxRouteBytes)
	}
	if n.Err != nil {
		a.Str(semconv.KeyExceptionMessage, n.Err.Error(), MaxMessageBytes)
	}
}

// act adds the attributes of an act of an operator.
func (a *Attributes) act(act *attempt.Act) {
	a.Str(semconv.KeyOperatorVerb, act.Verb, MaxNameBytes)
	a.Str(semconv.KeyOperatorActID, act.ID, MaxNameBytes)
	a.Str(semconv.KeyOperatorUndoes, act.Undoes, MaxNameBytes)
	if !act.Until.IsZero() {
		a.Add(attribute.String(semconv.KeyOperatorUntil, act.Until.UTC().Format(time.RFC3339)))
	}
}

// Spanned returns a context with the span whose ids an event carries: the server span of ctx,
// otherwise the auth span. A remote span is that of the caller.
func Spanned(ctx context.Context, req *attempt.Request) context.Context {
	if isLocal(trace.SpanContextFromContext(ctx)) {
		return ctx
	}
	if span, ok := req.Span.(trace.Span); ok {
		return trace.ContextWithSpan(ctx, span)
	}
	return ctx
}

// SpanOf returns the ids of the span that Spanned selects; invalid if there is only the span of
// the caller.
func SpanOf(ctx context.Context, req *attempt.Request) trace.SpanContext {
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
