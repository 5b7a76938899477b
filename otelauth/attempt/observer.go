// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Observer is told of every attempt. Spans, metrics, events and detection are observers.
//
// For one attempt the calls come in the order Begin, Decide, End, each once, and never two at a
// time; End may come from another goroutine than Decide. Observers must be safe for many attempts at once.
// They must not block, panic, or keep req, res or resp after the call returns.
type Observer interface {
	// Begin is called before verification. The context that it returns, which may carry a span, is
	// the one in which the attempt is verified and decided.
	Begin(ctx context.Context, req *Request) context.Context
	// Decide is told the verdict before the protected handler runs. An error turns a success into
	// 503; only an observer that must fail closed (a required trail) returns one.
	Decide(ctx context.Context, req *Request, res *Result) error
	// End is told the response once its status is known. ctx is Request.Context.
	End(ctx context.Context, req *Request, res *Result, resp *Response)
}

// AnonymousObserver is an [Observer] that is also told of the answers of public endpoints to callers
// without credentials, which are no attempts.
type AnonymousObserver interface {
	Anonymous(ctx context.Context, req *Request, resp *Response)
}

// NoticeObserver is an [Observer] that is also told what happens outside of attempts.
type NoticeObserver interface {
	Notice(ctx context.Context, n Notice)
}

// StateObserver is an [Observer] that also reports how full the verifier's tables are. Watch is
// called once for each verifier; state is safe for concurrent use and cheap. The returned function ends the report.
type StateObserver interface {
	Watch(state func() State) (stop func(), err error)
}

// State is how full a verifier's tables are at one moment, each a count.
type State struct {
	Accounts        int64 // accounts in the store
	CacheEntries    int64 // verified credentials and known failures
	ThrottleEntries int64 // guess budgets
	HashesActive    int64 // hash functions running
	HashesQueued    int64 // attempts waiting for one
}

// Notice is something an operator should know that is no attempt. Kinds are closed; fields that do
// not fit the kind are zero.
type Notice struct {
	Kind NoticeKind
	Time time.Time
	// Message is one sentence that says what to do next. No secret.
	Message string
	// Err is what went wrong; nil says that nothing did.
	Err error
	// Source names the file or store, for reloads.
	Source string
	// Accounts is how many accounts are served after a reload.
	Accounts int

	// Actor and Why say who changed a throttle and for what reason, as they said it themselves.
	Actor, Why string
	// Network and UserHash are what the change is about, if it is about a network or an account.
	Network  netip.Prefix
	UserHash string
}

// NoticeKind is the name of the event that a [Notice] becomes.
type NoticeKind string

const (
	// AccountReload: the accounts were read again, or could not be (Err).
	AccountReload NoticeKind = "auth.account.reload"
	// IdentityKeyRandom: no identity key is configured, so user.hash changes with each start.
	IdentityKeyRandom NoticeKind = "auth.identity_key.random"
	// UntrustedForwarded: a peer that is no trusted proxy sends forwarding headers.
	UntrustedForwarded NoticeKind = "auth.client.untrusted_forwarded"
	// ThrottleChanged: an operator cleared, allowed or denied somebody; Actor and Why say who and for what reason.
	ThrottleChanged NoticeKind = "auth.throttle.changed"
	// ThrottleSnapshot: the file of guess budgets could not be used or written (Err); Source is the file.
	ThrottleSnapshot NoticeKind = "auth.throttle.snapshot"
	// ThrottleStore: budgets are no longer shared with other processes (Err), or are so again; or a value in the shared store is foreign (Err).
	ThrottleStore NoticeKind = "auth.throttle.store"
	// DetectionFeed: attempts are no longer added up with those of other processes (Err), or are so again; or what the shared feed
	// holds is foreign (Err).
	DetectionFeed NoticeKind = "auth.detection.feed"
)

// Join returns an Observer that tells each of obs: Begin in the given order, Decide and End in
// reverse, so that what is recorded in Decide is recorded inside the spans of the observers before it. The
// optional interfaces are passed on to those that have them. nil elements are left out; Join() observes nothing.
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

// Decide tells every observer, also after one has failed: an attempt must not vanish from the
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
