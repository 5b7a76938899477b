// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

func TestIdentify(t *testing.T) {
	t.Parallel()
	mw := newMiddleware(t, otelauth.Config{IdentityKey: testKey})
	id, err := mw.Identify(t.Context(), "alice")
	if err != nil || id.Name != "alice" || id.Canonical != "alice" || !testKey.Matches(id.Hash, "alice") {
		t.Errorf("%v %+v", err, id)
	}
	if id, err = mw.Identify(t.Context(), "nobody"); err != nil || id.Name != "" || !testKey.Matches(id.Hash, "nobody") {
		t.Errorf("%v %+v", err, id)
	}
	mw = newMiddleware(t, otelauth.Config{IdentityKey: testKey, Verifier: instant{}})
	if id, err = mw.Identify(t.Context(), "alice"); !errors.Is(err, verify.ErrNeedsPassword) || id.Hash == "" || id.Canonical != "alice" {
		t.Errorf("with a Verifier: %v %+v", err, id)
	}
	if _, err := new(otelauth.Middleware).Identify(t.Context(), "alice"); err == nil {
		t.Error("the zero Middleware identifies")
	}
}

// TestForget: after Forget the credential is hashed again, and VerifiedAt is that of the new hash.
func TestForget(t *testing.T) {
	t.Parallel()
	clock := otelauthtest.NewClock(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	var verified time.Time
	s := newService(t, otelauth.Config{Now: clock.Now, CacheTTL: time.Hour}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var ok bool
		if verified, ok = otelauth.VerifiedAt(r.Context()); !ok {
			t.Error("a request without a verification")
		}
	}))
	at := clock.Now()
	for _, want := range []struct {
		cache attempt.CacheResult
		at    time.Time
	}{{attempt.Miss, at}, {attempt.Hit, at}} {
		s.do(request(t, "GET", "/orders", "alice", "wonderland"))
		if got := s.last(t).Cache; got != want.cache || !verified.Equal(want.at) {
			t.Errorf("%v at %v, want %+v", got, verified, want)
		}
		clock.Advance(10 * time.Minute)
	}
	if n := s.mw.Forget("bob"); n != 0 {
		t.Errorf("%d credentials of bob", n)
	}
	if n := s.mw.Forget("alice"); n != 1 {
		t.Errorf("%d credentials of alice", n)
	}
	s.do(request(t, "GET", "/orders", "alice", "wonderland"))
	if got := s.last(t).Cache; got != attempt.Miss || !verified.Equal(clock.Now()) {
		t.Errorf("after Forget: %v at %v", got, verified)
	}
	if _, ok := otelauth.VerifiedAt(t.Context()); ok {
		t.Error("a context without a user was verified")
	}
}

// counter counts attempts and notices.
type counter struct{ attempts, notices int }

func (c *counter) Begin(ctx context.Context, _ *attempt.Request) context.Context   { return ctx }
func (c *counter) Decide(context.Context, *attempt.Request, *attempt.Result) error { return nil }
func (c *counter) Notice(context.Context, attempt.Notice)                          { c.notices++ }
func (c *counter) End(context.Context, *attempt.Request, *attempt.Result, *attempt.Response) {
	c.attempts++
}

// TestAdditional: additional observers record beside those of the providers, and beside none.
func TestAdditional(t *testing.T) {
	t.Parallel()
	for name, observers := range map[string][]attempt.Observer{"the providers": nil, "none": {}} {
		c := &counter{}
		s := newService(t, otelauth.Config{Additional: []attempt.Observer{c}, Observers: observers}, nil)
		s.do(request(t, "GET", "/orders", "alice", "wonderland"))
		s.mw.Notice(attempt.Notice{Kind: attempt.OperatorAct, Time: time.Now(), Act: attempt.Act{ID: "1", Verb: "clear"}, Actor: "carol", Why: "test"})
		if c.attempts != 1 || c.notices != 1 {
			t.Errorf("beside %s: %+v", name, c)
		}
		if n := len(s.Attempts()); (n == 1) != (observers == nil) {
			t.Errorf("beside %s, the providers recorded %d attempts", name, n)
		}
	}
}
