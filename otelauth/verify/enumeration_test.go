// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

var networkBudget = throttle.Limit{Burst: 100, Every: time.Second}

// guarded is an engine over alice and bob, with guess budgets, on a clock that tests set.
type guarded struct {
	*manual
	store  *store
	engine *verify.Engine
}

// newGuarded returns an engine. If shared is nil, it has its own budgets. The budget of the
// network is small, because hashes take time.
func newGuarded(t *testing.T, clock *manual, shared throttle.Store) *guarded {
	t.Helper()
	elapsed := func() time.Duration { return clock.now().Sub(time.Unix(0, 0)) }
	th, err := throttle.New(throttle.Config{
		Store: shared, Key: make([]byte, 32), Elapsed: elapsed, Now: clock.now,
		Limits: throttle.Limits{Network: networkBudget},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(
		&verify.Account{Name: "alice", Password: hashed(t, cheap, "wonderland")},
		&verify.Account{Name: "bob", Password: hashed(t, cheap, "builder")},
	)
	return &guarded{clock, s, newEngine(t, verify.Config{Accounts: s, Throttle: th, Now: clock.now})}
}

func (g *guarded) try(t *testing.T, name, pass string, network netip.Prefix) attempt.Result {
	t.Helper()
	var res attempt.Result
	g.engine.Verify(t.Context(), g.now(), field(t, name, pass), network, &res)
	return res
}

// shown is what a caller can observe: the answer, and by its time whether a hash ran.
type shown struct {
	outcome    attempt.Outcome
	retryAfter time.Duration
	hashed     bool
}

func show(res attempt.Result) shown { return shown{res.Outcome, res.RetryAfter, res.Hash.Ran()} }

// TestAKnownPairDoesNotShow: from a network where alice has logged in, guesses at alice, at
// another account and at an unknown name get one sequence of answers. It is ten failures, then
// refusals, of which those from the reserve take the time of a hash. Repeated wrong passwords are
// no exception.
func TestAKnownPairDoesNotShow(t *testing.T) {
	t.Parallel()
	budgets := throttle.DefaultLimits()
	var want []shown
	for _, name := range []string{"nobody", "bob", "alice"} {
		g := newGuarded(t, &manual{t: time.Unix(1000, 0)}, nil)
		if res := g.try(t, "alice", "wonderland", home); res.Outcome != attempt.Success {
			t.Fatal(res.Outcome)
		}
		var got []shown
		for i := range budgets.NewPair.Burst + budgets.KnownPair.Burst + 5 {
			got = append(got, show(g.try(t, name, fmt.Sprint("guess", i), home)))
			if i%4 == 0 {
				got = append(got, show(g.try(t, name, "guess0", home)))
			}
		}
		g.add(90 * time.Second)
		for i := range 5 {
			got = append(got, show(g.try(t, name, fmt.Sprint("later", i), home)))
		}
		if want == nil {
			want = got
			count := map[shown]int{}
			for _, s := range got {
				s.retryAfter = 0
				count[s]++
			}
			if count[shown{attempt.Failure, 0, true}] != 11 || count[shown{attempt.Throttled, 0, true}] != 91 {
				t.Errorf("the assumption of this test is wrong: %v", count)
			}
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s, answer %d: %+v, but for an unknown name %+v", name, i, got[i], want[i])
				break
			}
		}
	}
}

// TestARightPasswordBeyondTheBudgetIsAsSlowAsAWrongOne: beyond the budgets, the right password of
// a pair that is not known is refused like a wrong one and takes as long. What another network
// has left in the cache does not matter.
func TestARightPasswordBeyondTheBudgetIsAsSlowAsAWrongOne(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, &manual{t: time.Unix(1000, 0)}, nil)
	g.try(t, "alice", "wonderland", home) // alice is known at home,
	g.try(t, "bob", "builder", office)    // bob at the office, and in the cache
	for i := range 10 {
		g.try(t, "bob", fmt.Sprint("guess", i), home)
	}
	want := show(g.try(t, "bob", "wrong", home))
	for range 3 {
		for _, pass := range []string{"builder", "wrong", "guess0"} {
			if got := show(g.try(t, "bob", pass, home)); got != want || !got.hashed {
				t.Errorf("%s: %+v, want %+v", pass, got, want)
			}
		}
	}
}

// TestTheOwnerIsServedFromTheReserve: guesses from elsewhere and from the owner's network do not
// lock the owner out, neither in this process nor in a new one that shares the budgets.
func TestTheOwnerIsServedFromTheReserve(t *testing.T) {
	t.Parallel()
	clock := &manual{t: time.Unix(1000, 0)}
	elapsed := func() time.Duration { return clock.now().Sub(time.Unix(0, 0)) }
	shared, err := throttle.NewMemory(throttle.MemoryConfig{Bytes: 1 << 20, Elapsed: elapsed, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	g := newGuarded(t, clock, shared)
	owner := func(what string, g *guarded) {
		t.Helper()
		if res := g.try(t, "alice", "wonderland", home); res.Outcome != attempt.Success {
			t.Errorf("%s: %v", what, res.Outcome)
		}
	}
	owner("at first", g)
	for i := range 60 {
		g.try(t, "alice", fmt.Sprint("elsewhere", i), network(i/8))
	}
	if res := g.try(t, "alice", "elsewhere", office); res.Outcome != attempt.Throttled || res.Hash.Ran() {
		t.Fatalf("the account's budget is not empty: %+v", res)
	}
	owner("recognised", g)
	owner("in a new process", newGuarded(t, clock, shared))
	clock.add(verify.DefaultTTL)
	for i := range 60 {
		g.try(t, "alice", fmt.Sprint("again", i), network(i/8))
	}
	owner("no longer recognised", g)
	clock.add(verify.DefaultTTL)
	for i := range 300 { // empties the budget and the reserve of the network, too
		g.try(t, fmt.Sprint("victim", i), "spray", home)
	}
	if res := g.try(t, "bob", "builder", home); res.Outcome != attempt.Throttled || res.Hash.Ran() {
		t.Fatalf("the reserve of the network is not empty: %+v", res)
	}
	owner("beside neighbours who spray", g)
}

// TestNoAnswerDependsOnAnotherNetwork: what one network sends changes no answer to another,
// neither the time of a repeat nor a charge.
func TestNoAnswerDependsOnAnotherNetwork(t *testing.T) {
	t.Parallel()
	sequence := func(others bool) (got []shown) {
		g := newGuarded(t, &manual{t: time.Unix(1000, 0)}, nil)
		for i := range 12 {
			pass := fmt.Sprint("stale", i)
			if others && i < 5 {
				g.try(t, "alice", pass, office)
			}
			got = append(got, show(g.try(t, "alice", pass, home)), show(g.try(t, "alice", pass, home)))
		}
		return got
	}
	alone, together := sequence(false), sequence(true)
	for i := range alone {
		if alone[i] != together[i] {
			t.Errorf("answer %d: %+v, and %+v when another network has sent the same before", i, alone[i], together[i])
		}
	}
	if !together[0].hashed || together[1].hashed {
		t.Errorf("%+v: want a hash for the first, and none for the repeat from the same network", together[:2])
	}
}

// TestWhatIsHashedIsPaidFor: a host that repeats one wrong password for each of many names pays
// for every hash, also after the cache has evicted the entries.
func TestWhatIsHashedIsPaidFor(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, &manual{t: time.Unix(1000, 0)}, nil)
	names := networkBudget.Burst - 1
	for round := range 3 {
		ran := 0
		guess := func(name, pass string) {
			if g.try(t, name, pass, office).Hash.Ran() {
				ran++
			}
		}
		for i := range names {
			guess(fmt.Sprint("name", i), "one")
			guess(fmt.Sprint("name", i), "one") // remembered: neither hashed nor charged
		}
		for i := range names { // the rest of the budget
			guess(fmt.Sprint("other", i), fmt.Sprint("in round ", round))
		}
		if ran != networkBudget.Burst {
			t.Errorf("round %d: %d hashes on a budget of %d", round, ran, networkBudget.Burst)
		}
		g.add(verify.DefaultTTL) // the cache entries expire, and the budget is full again
	}
}

// TestARefusedGuessAsksNoStore: a refused guess causes no lookup, whether it is new, a repeat or
// right.
func TestARefusedGuessAsksNoStore(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, &manual{t: time.Unix(1000, 0)}, nil)
	g.try(t, "alice", "wonderland", home)
	for _, name := range []string{"alice", "nobody"} {
		for i := range 10 {
			g.try(t, name, fmt.Sprint("guess", i), away)
		}
	}
	before := g.store.lookups
	for i := range 50 {
		for _, pass := range []string{"guess0", "wonderland", fmt.Sprint("more", i)} {
			for _, name := range []string{"alice", "nobody"} {
				if res := g.try(t, name, pass, away); res.Outcome != attempt.Throttled {
					t.Fatalf("%s with %q: %v", name, pass, res.Outcome)
				}
			}
		}
	}
	if n := g.store.lookups - before; n != 0 {
		t.Errorf("refused guesses asked the store %d times", n)
	}
}

// TestARefusedGuessNamesItsAccount: the record of a refused guess has the name of its account, if
// the store has it in memory.
func TestARefusedGuessNamesItsAccount(t *testing.T) {
	t.Parallel()
	th := &script{verdict: throttle.Refused}
	encoded, err := cheap.Hash([]byte("wonderland"), nil)
	if err != nil {
		t.Fatal(err)
	}
	e := newEngine(t, verify.Config{Accounts: &verify.Static{Hashes: map[string]string{"alice": encoded}}, Throttle: th})
	for name, want := range map[string]string{"alice": "alice", "nobody": ""} {
		if res := try(t, e, field(t, name, "x"), away); res.Outcome != attempt.Throttled || res.UserName != want {
			t.Errorf("%s: %v of %q, want a refusal of %q", name, res.Outcome, res.UserName, want)
		}
	}
}
