// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"
)

// Observer records attempts. Spans, metrics, events and detection are observers.
//
// For one attempt the calls are Begin, Decide, End, in this order, each once and never
// concurrently. End may run in another goroutine than Decide. An Observer must be safe for many
// attempts at once. It must not block, panic, or keep req, res or resp after the call.
type Observer interface {
	// Begin runs before verification. It returns the context in which the attempt is verified and
	// decided, which may carry a span.
	Begin(ctx context.Context, req *Request) context.Context
	// Decide records the verdict before the protected handler runs. An error turns a success into
	// 503; only an observer that must fail closed (a required trail) returns one.
	Decide(ctx context.Context, req *Request, res *Result) error
	// End records the response once its status is known. ctx is Request.Context.
	End(ctx context.Context, req *Request, res *Result, resp *Response)
}

// ReadyObserver is an [Observer] without which no credentials may be verified (a required trail).
// The pipeline calls Ready after Begin, before it verifies credentials. An error answers 503, so
// that an attacker learns nothing while no attempt can be recorded. Ready must not block.
type ReadyObserver interface {
	Ready() error
}

// AnonymousObserver is an [Observer] that also records the responses of public endpoints to
// callers without credentials, which are not attempts.
type AnonymousObserver interface {
	Anonymous(ctx context.Context, req *Request, resp *Response)
}

// NoticeObserver is an [Observer] that also records what happens outside of attempts.
type NoticeObserver interface {
	Notice(ctx context.Context, n Notice)
}

// StateObserver is an [Observer] that also reports the occupancy of the verifier's tables. The
// pipeline calls Watch once for each verifier. state is safe for concurrent use and cheap. stop
// ends the report.
type StateObserver interface {
	Watch(state func() State) (stop func(), err error)
}

// State is the occupancy of a verifier's tables at one moment. Each field is a count.
type State struct {
	Accounts        int64 // accounts in the store
	CacheEntries    int64 // verified credentials and known failures
	ThrottleEntries int64 // guess budgets
	HashesActive    int64 // hash functions that run
	HashesQueued    int64 // attempts that wait for one
	HashSlots       int64 // hash functions that may run at once
	HashQueue       int64 // attempts that may wait for one
}

// Notice is something that an operator should know and that is not an attempt. Fields that do not
// fit the kind are zero.
type Notice struct {
	Kind NoticeKind
	Time time.Time
	// Message is one sentence that ends with what to do next. It holds no secret.
	Message string
	// Err is the error; nil means that there is none.
	Err error
	// Source is the file or store, for reloads.
	Source string
	// Accounts is the number of accounts served after a reload.
	Accounts int

	// Actor and Why are who changed a throttle or acted, and the reason, as the operator wrote
	// them.
	Actor, Why string
	// Act is what an operator did, for OperatorAct.
	Act Act
	// Network and UserHash are the network and the account that the change is about, if any.
	Network  netip.Prefix
	UserHash string

	// Coverage, Route and Method are the finding about a route.
	Coverage      CoverageFinding
	Route, Method string
}

// CoverageFinding is what is wrong with the protection of a route, the attribute
// auth.coverage.finding.
type CoverageFinding string

const (
	// AnonymousAccess means that the route served 2xx to a caller without credentials and is not
	// public.
	AnonymousAccess CoverageFinding = "anonymous_access"
	// NeverAuthenticated means that the route is registered and served no authenticated caller.
	NeverAuthenticated CoverageFinding = "never_authenticated"
)

// CoverageFindings returns every CoverageFinding.
func CoverageFindings() []CoverageFinding {
	return []CoverageFinding{AnonymousAccess, NeverAuthenticated}
}

// Act is an act of an operator.
type Act struct {
	// ID identifies the act. Verb is "clear", "allow", "deny", "forget" or "undo".
	ID, Verb string
	// Undoes is the ID of the act that an undo ended.
	Undoes string
	// Until is when a rule ends; the zero Time if it does not.
	Until time.Time
}

// NoticeKind is the name of the event that a [Notice] becomes.
type NoticeKind string

const (
	// AccountReload reports that the accounts were read again, or could not be (Err).
	AccountReload NoticeKind = "auth.account.reload"
	// IdentityKeyRandom reports that no identity key is configured, so user.hash changes with
	// each start.
	IdentityKeyRandom NoticeKind = "auth.identity_key.random"
	// UntrustedForwarded reports that a peer that is not a trusted proxy sends forwarding headers.
	UntrustedForwarded NoticeKind = "auth.client.untrusted_forwarded"
	// ThrottleChanged reports that an operator cleared, allowed or denied; Actor and Why are who
	// and why.
	ThrottleChanged NoticeKind = "auth.throttle.changed"
	// OperatorAct reports an act of an operator through the API of package operator; Actor, Why
	// and Act are who, why and what.
	OperatorAct NoticeKind = "auth.operator.act"
	// ThrottleSnapshot reports that the file of guess budgets could not be used or written (Err);
	// Source is the file.
	ThrottleSnapshot NoticeKind = "auth.throttle.snapshot"
	// ThrottleStore reports that budgets are no longer shared with other processes or that the
	// store holds a foreign value (Err), or that budgets are shared again.
	ThrottleStore NoticeKind = "auth.throttle.store"
	// DetectionFeed reports that evidence is no longer shared with other processes or that the
	// feed holds a foreign entry (Err), or that evidence is shared again.
	DetectionFeed NoticeKind = "auth.detection.feed"
	// DetectionSnapshot reports that what detection has learned could not be read or stored (Err);
	// Source is the file, or "redis".
	DetectionSnapshot NoticeKind = "auth.detection.snapshot"
	// DetectionMemory reports that a table of detection is half full, that it has lost state and
	// rules are silent (Err), or that it has room again.
	DetectionMemory NoticeKind = "auth.detection.memory"
	// TelemetryUnrecorded reports that no provider records the spans or the metrics.
	TelemetryUnrecorded NoticeKind = "auth.telemetry.unrecorded"
	// Coverage reports a route whose protection is in doubt: Notice.Coverage says why.
	Coverage NoticeKind = "auth.coverage"
	// TrailAnomaly reports that another program changed the tamper-evident trail, or that it could
	// not be written (Err); Source is the folder. The trail emits the event itself.
	TrailAnomaly NoticeKind = "auth.trail.anomaly"
)

var noticeKinds = [...]NoticeKind{
	AccountReload, IdentityKeyRandom, UntrustedForwarded, ThrottleChanged, ThrottleSnapshot, ThrottleStore, DetectionFeed,
	DetectionSnapshot, DetectionMemory, TelemetryUnrecorded, Coverage, TrailAnomaly, OperatorAct,
}

// NoticeKinds returns every NoticeKind.
func NoticeKinds() []NoticeKind { return slices.Clone(noticeKinds[:]) }

// Join returns an Observer that calls each of obs: Begin in the given order, Decide and End in
// reverse, so that Decide records inside the spans of the observers before it. It passes the
// optional interfaces on to the observers that have them. It leaves nil elements out; Join()
// observes nothing.
func Join(obs ...Observer) Observer {
	var kept joined
	for _, o := range obs {
		switch o := o.(type) {
		case nil:
		case joined:
			kept = append(kept, o...)
		default:
			kept = append(kept, o)
		}
	}
	return kept
}

type joined []Observer

func (j joined) Begin(ctx context.Context, req *Request) context.Context {
	for _, o := range j {
		ctx = o.Begin(ctx, req)
	}
	return ctx
}

// Decide calls every observer, also after one has failed: an attempt must not be absent from the
// metrics because the trail is full.
func (j joined) Decide(ctx context.Context, req *Request, res *Result) error {
	var failed error
	for i := len(j) - 1; i >= 0; i-- {
		if err := j[i].Decide(ctx, req, res); err != nil {
			failed = errors.Join(failed, err)
			if res.Outcome == Success {
				res.Outcome, res.ErrorType, res.Err = Error, TrailUnavailable, err
			}
		}
	}
	return failed
}

func (j joined) End(ctx context.Context, req *Request, res *Result, resp *Response) {
	for i := len(j) - 1; i >= 0; i-- {
		j[i].End(ctx, req, res, resp)
	}
}

// Ready returns the first error of the observers that must be ready.
func (j joined) Ready() error {
	for _, o := range j {
		if r, ok := o.(ReadyObserver); ok {
			if err := r.Ready(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j joined) Anonymous(ctx context.Context, req *Request, resp *Response) {
	for _, o := range j {
		if a, ok := o.(AnonymousObserver); ok {
			a.Anonymous(ctx, req, resp)
		}
	}
}

func (j joined) Notice(ctx context.Context, n Notice) {
	for _, o := range j {
		if a, ok := o.(NoticeObserver); ok {
			a.Notice(ctx, n)
		}
	}
}

func (j joined) Watch(state func() State) (func(), error) {
	var stops []func()
	stop := func() {
		for _, s := range stops {
			s()
		}
	}
	for _, o := range j {
		w, ok := o.(StateObserver)
		if !ok {
			continue
		}
		s, err := w.Watch(state)
		if err != nil {
			stop()
			return nil, err
		}
		stops = append(stops, s)
	}
	return stop, nil
}
