// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// ledger is an observer that implements every optional interface too.
type ledger struct {
	full    bool
	pending []string
}

var (
	_ attempt.Observer          = (*ledger)(nil)
	_ attempt.ReadyObserver     = (*ledger)(nil)
	_ attempt.AnonymousObserver = (*ledger)(nil)
	_ attempt.NoticeObserver    = (*ledger)(nil)
	_ attempt.StateObserver     = (*ledger)(nil)
	_ attempt.Flusher           = (*ledger)(nil)
)

// Ready refuses to let credentials be verified while nothing can be recorded.
func (l *ledger) Ready() error {
	if l.full {
		return errors.New("ledger: the disk is full")
	}
	return nil
}

// Begin may start a span. The attempt is verified in the context that it returns.
func (l *ledger) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

// Decide sees the verdict before the handler runs.
func (l *ledger) Decide(_ context.Context, req *attempt.Request, res *attempt.Result) error {
	text := fmt.Sprint(res.Outcome, " from ", req.ClientAddress())
	if res.Hash.Ran() {
		text += fmt.Sprint(", ", res.Hash.Scheme, " took ", res.Hash.Duration)
	}
	l.pending = append(l.pending, text)
	return nil
}

// End sees the response.
func (l *ledger) End(_ context.Context, _ *attempt.Request, _ *attempt.Result, resp *attempt.Response) {
	l.pending = append(l.pending, fmt.Sprint("answered ", resp.Status, ", refused by a rule: ", resp.IsRefused()))
}

// Anonymous sees answers to callers of public endpoints, which are not attempts.
func (l *ledger) Anonymous(_ context.Context, req *attempt.Request, _ *attempt.Response) {
	l.pending = append(l.pending, "anonymous at "+req.Route)
}

// Notice sees what happens outside of attempts.
func (l *ledger) Notice(_ context.Context, n attempt.Notice) {
	l.pending = append(l.pending, fmt.Sprint(n.Kind, ": ", n.Accounts, " accounts"))
}

// Watch gets a function that returns the occupancy of the verifier's tables.
func (l *ledger) Watch(state func() attempt.State) (stop func(), err error) {
	l.pending = append(l.pending, fmt.Sprint("watching ", state().Accounts, " accounts"))
	return func() {}, nil
}

// Flush writes what is held back.
func (l *ledger) Flush() {
	for _, line := range l.pending {
		fmt.Println(line)
	}
	l.pending = nil
}

// An observer needs three methods. The Middleware calls those of the optional interfaces, if the
// observer has them.
func ExampleObserver() {
	l := new(ledger)
	if _, err := l.Watch(func() attempt.State { return attempt.State{Accounts: 2} }); err != nil {
		fmt.Println(err)
		return
	}
	req := attempt.Request{Context: context.Background(), Client: netip.MustParseAddr("192.0.2.7"), Route: "/orders/{id}"}
	res := attempt.Result{
		Outcome: attempt.Failure,
		Hash:    attempt.HashRun{Scheme: "bcrypt", Duration: 61 * time.Millisecond, Outcome: attempt.Failure},
	}
	fmt.Println(l.Ready())
	ctx := l.Begin(req.Context, &req)
	if err := l.Decide(ctx, &req, &res); err != nil {
		fmt.Println(err)
	}
	l.End(req.Context, &req, &res, &attempt.Response{Status: 401})
	l.Anonymous(req.Context, &req, &attempt.Response{Status: 200})
	l.Notice(req.Context, attempt.Notice{Kind: attempt.AccountReload, Accounts: 3})
	l.Flush()
	// Output:
	// <nil>
	// watching 2 accounts
	// failure from 192.0.2.7, bcrypt took 61ms
	// answered 401, refused by a rule: false
	// anonymous at /orders/{id}
	// auth.account.reload: 3 accounts
}
