// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// rotating is an account that changes from the password "old" to "new" until ends.
func rotating(t testing.TB, ends time.Time) *verify.Account {
	t.Helper()
	return &verify.Account{
		Name: "alice", PreviousExpires: ends,
		Password: hashed(t, cheap, "new").WithPrevious(hashed(t, cheap, "old")),
	}
}

// ledger counts how guesses were settled.
type ledger struct {
	throttle.DangerouslyNone
	mu      sync.Mutex
	settled map[throttle.Settlement]int
}

func (l *ledger) Settle(_ context.Context, _ throttle.Guess, s throttle.Settlement) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settled[s]++
}

func (l *ledger) take() map[throttle.Settlement]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.settled
	l.settled = map[throttle.Settlement]int{}
	return taken
}

// manual is a clock that tests set.
type manual struct {
	mu sync.Mutex
	t  time.Time
}

func (m *manual) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.t
}

func (m *manual) add(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.t = m.t.Add(d)
}

func tryAt(t testing.TB, e *verify.Engine, c *manual, pass string) attempt.Result {
	t.Helper()
	var res attempt.Result
	account := e.Verify(t.Context(), c.now(), field(t, "alice", pass), home, &res)
	if (account != nil) != (res.Outcome == attempt.Success) {
		t.Fatalf("account %v with outcome %v", account, res.Outcome)
	}
	return res
}

// TestPreviousPassword: both passwords are right until the previous one expires. Then that one is
// wrong at once, cached or not. The result reports which one was used.
func TestPreviousPassword(t *testing.T) {
	t.Parallel()
	clock := &manual{t: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	ends := clock.t.Add(2 * time.Minute)
	budget := &ledger{settled: map[throttle.Settlement]int{}}
	e := newEngine(t, verify.Config{Accounts: newStore(rotating(t, ends)), Throttle: budget, Now: clock.now})

	expect := func(when, pass string, out attempt.Outcome, reason attempt.Reason, cache attempt.CacheResult, previous bool, s throttle.Settlement) {
		t.Helper()
		res := tryAt(t, e, clock, pass)
		if res.Outcome != out || res.Reason != reason || res.Cache != cache || res.PreviousCredential != previous {
			t.Errorf("%s, %s: %v %q %v previous %v", when, pass, res.Outcome, res.Reason, res.Cache, res.PreviousCredential)
		}
		settled := budget.take()
		if s == (throttle.Settlement(255)) {
			if len(settled) != 0 {
				t.Errorf("%s, %s: settled %v, want nothing", when, pass, settled)
			}
		} else if settled[s] != 1 || len(settled) != 1 {
			t.Errorf("%s, %s: settled %v, want one %v", when, pass, settled, s)
		}
	}
	const free = throttle.Settlement(255)
	expect("during", "old", attempt.Success, "", attempt.Miss, true, throttle.Right)
	expect("during", "old", attempt.Success, "", attempt.Hit, true, free)
	expect("during", "new", attempt.Success, "", attempt.Miss, false, throttle.Right)
	expect("during", "new", attempt.Success, "", attempt.Hit, false, free)
	expect("during", "bad", attempt.Failure, attempt.ReasonWrongPassword, attempt.Miss, false, throttle.Wrong)
	expect("during", "bad", attempt.Failure, attempt.ReasonWrongPassword, attempt.Hit, false, free)
	clock.add(2 * time.Minute) // the entries are still live: their TTL is five minutes
	expect("at its end", "old", attempt.Failure, attempt.ReasonCredentialsExpired, attempt.Miss, true, throttle.Wrong)
	expect("after", "old", attempt.Failure, attempt.ReasonCredentialsExpired, attempt.Hit, true, free)
	expect("after", "new", attempt.Success, "", attempt.Hit, false, free)
	expect("after", "bad", attempt.Failure, attempt.ReasonWrongPassword, attempt.Hit, false, free)
}

// TestPreviousPasswordRevoked: every change of the account ends or restores a remembered previous
// password.
func TestPreviousPasswordRevoked(t *testing.T) {
	t.Parallel()
	clock := &manual{t: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	begin := rotating(t, clock.t.Add(time.Hour))
	change := func(f func(*verify.Account)) *verify.Account {
		c := *begin
		f(&c)
		return &c
	}
	for name, to := range map[string]struct {
		account *verify.Account
		reason  attempt.Reason
	}{
		"previous taken away": {&verify.Account{Name: "alice", Password: hashed(t, cheap, "new")}, attempt.ReasonWrongPassword},
		"ends now":            {change(func(a *verify.Account) { a.PreviousExpires = clock.t }), attempt.ReasonCredentialsExpired},
		"no end":              {change(func(a *verify.Account) { a.PreviousExpires = time.Time{} }), attempt.ReasonCredentialsExpired},
		"disabled":            {change(func(a *verify.Account) { a.Disabled = true }), attempt.ReasonAccountDisabled},
		"expired":             {change(func(a *verify.Account) { a.Expires = clock.t }), attempt.ReasonCredentialsExpired},
		"another rotation": {&verify.Account{
			Name: "alice", PreviousExpires: begin.PreviousExpires,
			Password: hashed(t, cheap, "newest").WithPrevious(hashed(t, cheap, "new")),
		}, attempt.ReasonWrongPassword},
		"removed": {nil, attempt.ReasonUnknownUser},
	} {
		s := newStore(begin)
		e := newEngine(t, verify.Config{Accounts: s, Now: clock.now})
		for range 2 {
			if res := tryAt(t, e, clock, "old"); res.Outcome != attempt.Success {
				t.Fatalf("%s: before: %v", name, res.Outcome)
			}
		}
		s.alice(to.account)
		for _, cache := range []attempt.CacheResult{attempt.Miss, attempt.Hit} {
			if res := tryAt(t, e, clock, "old"); res.Outcome != attempt.Failure || res.Reason != to.reason || res.Cache != cache {
				t.Errorf("%s: %v %q %v", name, res.Outcome, res.Reason, res.Cache)
			}
		}
		s.alice(begin)
		if res := tryAt(t, e, clock, "old"); res.Outcome != attempt.Success || !res.PreviousCredential {
			t.Errorf("%s: restored: %v %q", name, res.Outcome, res.Reason)
		}
	}
}

// TestPreviousPasswordEndsWhileHashing: the expiry is checked after the hash too.
func TestPreviousPasswordEndsWhileHashing(t *testing.T) {
	t.Parallel()
	clock := &manual{t: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	s := newStore(rotating(t, clock.t.Add(time.Hour)))
	ended := rotating(t, clock.t)
	ended.Password = s.accounts["alice"].Password
	s.onLookup = func(n int) {
		if n == 2 { // the lookup after the hash
			s.accounts["alice"] = ended
		}
	}
	e := newEngine(t, verify.Config{Accounts: s, Now: clock.now})
	if res := tryAt(t, e, clock, "old"); res.Outcome != attempt.Failure {
		t.Errorf("%v, want a failure", res.Outcome)
	}
}
