// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// TestAWallClockThatJumps: a jump of the wall clock by an hour changes no budget, no known pair
// and no wait.
func TestAWallClockThatJumps(t *testing.T) {
	t.Parallel()
	th, c, _ := desk(t, throttle.Limits{})
	owner := guess("alice", "right", home)
	settle(t, th, owner, throttle.Right)
	for i := range 100 {
		wrong(t, th, guess("alice", fmt.Sprint(i), home))
		wrong(t, th, guess("bob", fmt.Sprint(i), office))
	}
	for _, d := range []time.Duration{time.Hour, -2 * time.Hour, time.Hour} {
		c.JumpWall(d)
		if !th.Exhausted(owner) {
			t.Errorf("a jump of %v fills the owner's budget", d)
		}
		for _, g := range []throttle.Guess{owner, guess("bob", "x", office)} {
			got, err := th.Spend(t.Context(), g)
			if err != nil || got.Verdict != throttle.Refused || got.RetryAfter != time.Minute {
				t.Errorf("after a jump of %v: %+v, %v; want refused for a minute", d, got, err)
			}
		}
	}
	c.Advance(time.Minute)
	if th.Exhausted(owner) {
		t.Error("exhausted for longer than the budget is empty")
	}
}

// TestNamesOfAllKinds: names are hashed as they are. No byte ends a name, no length breaks one,
// and no two names share a budget.
func TestNamesOfAllKinds(t *testing.T) {
	t.Parallel()
	th, _, _ := desk(t, throttle.Limits{})
	long := strings.Repeat("x", 64<<10)
	names := []string{"", "a", "a\x00", "a\x00b", "\x00a", "a\x00\x00", "\xff\xfe", long, long + "y", long[:len(long)-1], long[:239], long[:240]}
	for _, name := range names {
		for _, network := range []netip.Prefix{netip.MustParsePrefix(home), netip.MustParsePrefix("2001:db8::/64"), {}} {
			granted := 0
			for i := range 12 {
				g := guess(name, fmt.Sprint("pass", i, network), home)
				g.Network = network
				if wrong(t, th, g) == throttle.Granted {
					granted++
				}
			}
			if granted != 10 {
				t.Errorf("a name of %d bytes from %v: %d guesses, want 10", len(name), network, granted)
			}
		}
	}
}

// TestSites: a client with a /48 or a /24 has the guesses of four networks and not of 65,536.
func TestSites(t *testing.T) {
	t.Parallel()
	for name, network := range map[string]func(i int) string{
		"IPv6 /48": func(i int) string { return fmt.Sprintf("2001:db8:7:%x::/64", i%4000) },
		"IPv4 /24": func(i int) string { return fmt.Sprintf("203.0.113.%d/32", i%250) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			th, _, _ := desk(t, throttle.Limits{})
			granted := 0
			for i := range 5000 {
				if wrong(t, th, guess(fmt.Sprint("user", i), "spray", network(i))) == throttle.Granted {
					granted++
				}
			}
			if granted != 1200 {
				t.Errorf("%d guesses, want 1200", granted)
			}
			if l := th.List(); len(l) != 1 || l[0].Budget != budget.Site || l[0].Refused != 3800 {
				t.Errorf("listed %+v", l)
			}
		})
	}
}

func TestTheRequestBudget(t *testing.T) {
	t.Parallel()
	network := netip.MustParsePrefix(home)
	off, _, _ := desk(t, throttle.Limits{})
	for range 10_000 {
		if d, err := off.Arrive(t.Context(), network); err != nil || d.Verdict != throttle.Granted {
			t.Fatalf("off by default, and yet: %+v, %v", d, err)
		}
	}
	th, c, _ := desk(t, throttle.Limits{Requests: throttle.Limit{Burst: 3, Every: time.Second}})
	granted := 0
	for range 10 {
		d, err := th.Arrive(t.Context(), network)
		if err != nil {
			t.Fatal(err)
		}
		if d.Verdict == throttle.Granted {
			granted++
		} else if d.Verdict != throttle.Refused || d.RetryAfter != time.Second {
			t.Errorf("%+v", d)
		}
	}
	if granted != 3 {
		t.Errorf("%d granted, want 3", granted)
	}
	// Without a limit for requests they cost nothing.
	if v := wrong(t, th, guess("alice", "x", home)); v != throttle.Granted {
		t.Error("requests without credentials cost guesses")
	}
	if e, _ := th.Explain(t.Context(), subject("", home)); !e.Refused || e.Refuses != budget.Requests {
		t.Errorf("explained as %v", e)
	}
	if err := th.Clear(t.Context(), subject("", home), act); err != nil {
		t.Fatal(err)
	}
	if d, _ := th.Arrive(t.Context(), network); d.Verdict != throttle.Granted {
		t.Error("refused after it was cleared")
	}
	c.Advance(time.Minute)
	if err := th.Deny(t.Context(), subject("", home), act); err != nil {
		t.Fatal(err)
	}
	if d, _ := th.Arrive(t.Context(), network); d.Verdict != throttle.Refused {
		t.Error("a denied network arrives")
	}
}

// broken is a store that can be made to fail.
type broken struct {
	budget.Store
	mu  sync.Mutex
	err error
}

func (b *broken) Spend(ctx context.Context, bill budget.Bill) (budget.Answer, error) {
	b.mu.Lock()
	err := b.err
	b.mu.Unlock()
	if err != nil {
		return budget.Answer{}, err
	}
	return b.Store.Spend(ctx, bill)
}

func TestAStoreThatFails(t *testing.T) {
	t.Parallel()
	down := errors.New("store: down")
	c := newClock()
	s := &broken{Store: newMemory(t, throttle.MemoryConfig{Bytes: 1 << 20, Elapsed: c.Elapsed}), err: down}
	th := newGuesses(t, throttle.Config{Store: s, Elapsed: c.Elapsed, Limits: throttle.Limits{Requests: throttle.Limit{Burst: 1, Every: time.Hour}}})
	g := guess("alice", "right", home)
	for range 3 {
		if d, err := th.Spend(t.Context(), g); !errors.Is(err, down) || d.Verdict == throttle.Granted {
			t.Errorf("%+v, %v", d, err)
		}
	}
	if _, err := th.Arrive(t.Context(), g.Network); !errors.Is(err, down) {
		t.Error(err)
	}
	s.mu.Lock()
	s.err = nil
	s.mu.Unlock()
	if v := settle(t, th, g, throttle.Right); v != throttle.Granted {
		t.Errorf("up again: %v", v)
	}
	if e, _ := th.Explain(t.Context(), subject("alice", "")); !e.Budgets[0].Full {
		t.Errorf("what failed was charged: %+v", e)
	}
}

// TestARefusedRepeatIsOver: a refused repeat leaves no flight behind that would make it free
// later.
func TestARefusedRepeatIsOver(t *testing.T) {
	t.Parallel()
	th, c, _ := desk(t, throttle.Limits{})
	for i := range 10 {
		wrong(t, th, guess("alice", fmt.Sprint(i), office))
	}
	if v := wrong(t, th, guess("alice", "9", office)); v != throttle.Refused {
		t.Fatalf("a repeat on an empty budget: %v", v)
	}
	c.Advance(10 * time.Minute)
	for _, pass := range []string{"a", "b", "c", "9"} {
		wrong(t, th, guess("alice", pass, office))
	}
	if e, _ := th.Explain(t.Context(), subject("alice", office)); e.Budgets[0].Left != 6 {
		t.Errorf("%d left, want 6: four more passwords were tried", e.Budgets[0].Left)
	}
}

// TestSharedFlights: many callers with one credential, settled in all ways, leave nothing behind.
func TestSharedFlights(t *testing.T) {
	t.Parallel()
	th, _, _ := desk(t, throttle.Limits{})
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for j := range 200 {
				g := guess("alice", fmt.Sprint("pass", j%3), host(i%5))
				d, err := th.Spend(t.Context(), g)
				switch {
				case err != nil:
					t.Error(err)
				case d.Verdict == throttle.Granted:
					th.Settle(t.Context(), g, []throttle.Settlement{throttle.Wrong, throttle.Unjudged}[(i+j)%2])
				case d.Verdict == throttle.Held:
					<-d.Changed
				}
			}
		})
	}
	wg.Wait()
	e, err := th.Explain(t.Context(), subject("alice", ""))
	if err != nil || e.Budgets[0].Held != 0 || e.Budgets[0].Left != 47 {
		t.Errorf("%+v, %v; want three guesses spent and none on its way", e.Budgets, err)
	}
}

func TestExhaustedAllocatesNothing(t *testing.T) {
	th, _, _ := desk(t, throttle.Limits{})
	owner, stranger := guess("alice", "right", home), guess("bob", "right", office)
	settle(t, th, owner, throttle.Right)
	for i := range 100 {
		wrong(t, th, guess("alice", fmt.Sprint(i), home))
	}
	if err := th.Deny(t.Context(), subject("", "2001:db8::/32"), act); err != nil {
		t.Fatal(err)
	}
	if !th.Exhausted(owner) || th.Exhausted(stranger) {
		t.Fatal("the test's premise")
	}
	if testkit.Race {
		return
	}
	if n := testing.AllocsPerRun(100, func() { th.Exhausted(owner); th.Exhausted(stranger) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
