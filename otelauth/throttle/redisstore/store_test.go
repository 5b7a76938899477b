// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budgettest"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

// notices collects the notices to an operator.
type notices struct {
	mu  sync.Mutex
	all []attempt.Notice
	c   chan attempt.Notice
}

func newNotices() *notices { return &notices{c: make(chan attempt.Notice, 64)} }

func (n *notices) add(_ context.Context, v attempt.Notice) {
	n.mu.Lock()
	n.all = append(n.all, v)
	n.mu.Unlock()
	n.c <- v
}

func (n *notices) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.all)
}

// newStore returns a store with a timeout for a machine under load; tests of the timeout set their
// own.
func newStore(t testing.TB, cfg redisstore.Config) *redisstore.Store {
	t.Helper()
	if cfg.Fallback == nil {
		m, err := throttle.NewMemory(throttle.MemoryConfig{Bytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Fallback = m
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Second
	}
	s, err := redisstore.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	s.Warm() // the probe must run before the test's clock advances
	return s
}

// wall returns a server's clock that a test advances.
func wall(elapsed *atomic.Int64) func() time.Time {
	return func() time.Time { return time.Unix(0, 0).Add(2*budget.MaxSpan + time.Duration(elapsed.Load())) }
}

// bill returns a bill that charges only the pair.
func bill(pair byte, burst int) budget.Bill {
	b := budget.Bill{KnownPair: budget.Limit{Burst: 100, Every: 30 * time.Second}, Remember: 30 * 24 * time.Hour, Lease: time.Minute}
	b.Charges[budget.Pair] = budget.Charge{Key: budgettest.Key(fmt.Sprint("pair", pair)), Limit: budget.Limit{Burst: burst, Every: time.Minute}}
	return b
}

// TestAgreesWithMemory compares the script with the memory store: the same guesses on the same
// clock have the same answers.
func TestAgreesWithMemory(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	// Epochs begin at the same moments in both.
	var elapsed atomic.Int64
	memory, err := throttle.NewMemory(throttle.MemoryConfig{Elapsed: func() time.Duration { return time.Duration(elapsed.Load()) }})
	if err != nil {
		t.Fatal(err)
	}
	shared := newStore(t, redisstore.Config{Client: srv.Client(t)}.WithWall(wall(&elapsed)))

	type grant struct {
		bill   budget.Bill
		mine   budget.Receipt
		theirs budget.Receipt
	}
	var open []grant
	r := rand.New(rand.NewPCG(1, 2))
	limits := [...]budget.Limit{
		{Burst: 3, Every: time.Minute}, {Burst: 5, Every: 20 * time.Second},
		{Burst: 8, Every: time.Second}, {Burst: 12, Every: 500 * time.Millisecond}, {Burst: 2, Every: 7 * time.Second},
	}
	verdicts := map[throttle.Verdict]int{}
	for step := range testkit.Repeats(1500, 6000) {
		elapsed.Add(int64(time.Duration(r.IntN(2000)) * time.Millisecond))
		if r.IntN(200) == 0 {
			elapsed.Add(int64(time.Duration(r.IntN(300)) * time.Second))
		}
		b := budget.Bill{KnownPair: budget.Limit{Burst: 6, Every: 10 * time.Second}, Remember: 30 * 24 * time.Hour, Lease: 15 * time.Second}
		b.Mode = budget.Hold
		switch r.IntN(10) {
		case 0:
			b.Mode = budget.Check
		case 1:
			b.Mode = budget.Take
		}
		for i := range b.Charges {
			if i == int(budget.Requests) && r.IntN(3) > 0 {
				continue
			}
			b.Charges[i] = budget.Charge{Key: budgettest.Key(fmt.Sprint(i, r.IntN(3))), Limit: limits[i]}
		}
		switch n := r.IntN(20); {
		case n < 12:
			want, err := memory.Spend(ctx, b)
			if err != nil {
				t.Fatal(err)
			}
			got, err := shared.Spend(ctx, b)
			if err != nil {
				t.Fatal(err)
			}
			verdicts[want.Verdict]++
			if want.Verdict == throttle.Granted && b.Mode == budget.Hold {
				open = append(open, grant{b, want.Receipt, got.Receipt})
			}
			if got.Verdict == throttle.Held {
				got.RetryAfter = want.RetryAfter // only a shared store has something to wait for
			}
			got.Receipt.Second = want.Receipt.Second
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("step %d, %v: memory −, redis +\n%s", step, b, diff)
			}
		case n < 18 && len(open) > 0:
			i := r.IntN(len(open))
			g := open[i]
			open = append(open[:i], open[i+1:]...)
			if r.IntN(8) == 0 {
				continue // never settled
			}
			how := throttle.Wrong
			if r.IntN(6) == 0 {
				how = throttle.Settlement(r.IntN(3))
			}
			memory.Settle(ctx, g.bill, g.mine, how)
			shared.Settle(ctx, g.bill, g.theirs, how)
			shared.Flush()
		case n == 18 && r.IntN(4) == 0:
			i := budget.Kind(r.IntN(len(b.Charges)))
			k := budgettest.Key(fmt.Sprint(i, r.IntN(3)))
			_ = memory.Clear(ctx, k, i)
			err = shared.Clear(ctx, k, i)
			if err != nil {
				t.Fatal(err)
			}
		}
		want, _ := memory.Look(ctx, b)
		got, err := shared.Look(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("step %d, look: memory −, redis +\n%s", step, diff)
		}
	}
	if verdicts[throttle.Refused] < 100 || verdicts[throttle.Granted] < 100 || verdicts[throttle.Held] < 10 {
		t.Errorf("the guesses do not reach every verdict: %v", verdicts)
	}
	if n := srv.Client(t).DBSize(ctx).Val(); n == 0 {
		t.Error("nothing in Redis: the fallback has answered")
	}
}

// TestKeysExpireAndHoldNoNames: keys are hashes, and each expires.
func TestKeysExpireAndHoldNoNames(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	c := srv.Client(t)
	s := newStore(t, redisstore.Config{Client: c, Prefix: "orders"})
	b := bill(1, 5)
	b.Charges[budget.Network] = budget.Charge{Key: budgettest.Key("2"), Limit: budget.Limit{Burst: 300, Every: time.Second}}
	a, err := s.Spend(ctx, b)
	if err != nil || a.Verdict != throttle.Granted {
		t.Fatal(a, err)
	}
	s.Settle(ctx, b, a.Receipt, throttle.Wrong)
	s.Flush()
	keys := c.Keys(ctx, "*").Val()
	if len(keys) != 3 {
		t.Errorf("keys %q; want the pair, the network and the clock", keys)
	}
	for _, k := range keys {
		if k[:len("{orders}:")] != "{orders}:" {
			t.Errorf("key %q is not under the prefix", k)
		}
		if ttl := c.TTL(ctx, k).Val(); ttl <= 0 || ttl > 41*24*time.Hour {
			t.Errorf("key %q lives %v", k, ttl)
		}
	}
	if ttl := c.PTTL(ctx, s.KeyOf(budget.Pair, b.Charges[budget.Pair].Key)).Val(); ttl > 62*time.Second {
		t.Errorf("one wrong guess of one a minute lives %v", ttl)
	}
}

// TestServerClockJumps: a clock that goes back an hour neither empties a budget for an hour nor
// fills it.
func TestServerClockJumps(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	var elapsed atomic.Int64
	s := newStore(t, redisstore.Config{Client: srv.Client(t)}.WithWall(wall(&elapsed)))
	pass := func(d time.Duration) { elapsed.Add(int64(d)) }
	b := bill(1, 5)
	guess := func() throttle.Verdict {
		a, err := s.Spend(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if a.Verdict == throttle.Granted {
			s.Settle(ctx, b, a.Receipt, throttle.Wrong)
			s.Flush()
		}
		return a.Verdict
	}
	left := func() int {
		v, err := s.Look(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		return v.Budgets[budget.Pair].Left
	}
	for range 3 {
		guess()
	}
	if left() != 2 {
		t.Fatalf("%d left before the jump", left())
	}
	pass(-time.Hour)
	if left() != 2 {
		t.Errorf("%d left after an hour back; want 2", left())
	}
	for range 2 {
		if v := guess(); v != throttle.Granted {
			t.Errorf("verdict %d after an hour back, with 2 left", v)
		}
	}
	if v := guess(); v != throttle.Refused {
		t.Errorf("verdict %d with an empty budget after an hour back", v)
	}
	pass(time.Minute)
	if v := guess(); v != throttle.Granted {
		t.Errorf("verdict %d a minute later: the clock must go on after it went back", v)
	}
	// A jump ahead equals an hour without guesses: it fills the budget and no more.
	pass(2 * time.Hour)
	if left() != 5 {
		t.Errorf("%d left after an hour forth; want 5", left())
	}
	if v := guess(); v != throttle.Granted {
		t.Errorf("verdict %d after an hour forth", v)
	}
	if !s.Shared() {
		t.Error("a jump of the clock is not a loss of Redis")
	}
}

// TestForeignValues: foreign values under our keys neither take effect nor are destroyed, and no
// user sees an error.
func TestForeignValues(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	c := srv.Client(t)
	for _, tc := range []struct {
		name  string
		write func(key string) error
		read  func(key string) string
	}{
		{"text", func(k string) error { return c.Set(ctx, k, "hello", 0).Err() }, func(k string) string { return c.Get(ctx, k).Val() }},
		{"empty", func(k string) error { return c.Set(ctx, k, "", 0).Err() }, func(k string) string { return c.Get(ctx, k).Val() }},
		{"later version", func(k string) error { return c.Set(ctx, k, "2 0 0 0 0 0", 0).Err() }, func(k string) string { return c.Get(ctx, k).Val() }},
		{"huge numbers", func(k string) error {
			return c.Set(ctx, k, "1 999999999999999999999999999999999999999999999999999999999999999999999999999999 0 0 0 0 0 0 0 0 0 0", 0).Err()
		}, func(k string) string { return c.Get(ctx, k).Val() }},
		{"list", func(k string) error { return c.RPush(ctx, k, "a").Err() }, func(k string) string { return c.LIndex(ctx, k, 0).Val() }},
		{"hash", func(k string) error { return c.HSet(ctx, k, "a", "b").Err() }, func(k string) string { return c.HGet(ctx, k, "a").Val() }},
	} {
		for _, clock := range []bool{false, true} {
			n := newNotices()
			s := newStore(t, redisstore.Config{Client: c, Prefix: "foreign", Notice: n.add})
			if err := c.FlushDB(ctx).Err(); err != nil {
				t.Fatal(err)
			}
			b := bill(1, 5)
			key := s.KeyOf(budget.Pair, b.Charges[budget.Pair].Key)
			if clock {
				key = s.ClockKey()
			}
			if err := tc.write(key); err != nil {
				t.Fatal(err)
			}
			before := tc.read(key)
			granted := 0
			for range 20 {
				a, err := s.Spend(ctx, b)
				if err != nil {
					t.Fatalf("%s: %v", tc.name, err)
				}
				if a.Verdict == throttle.Granted {
					granted++
					s.Settle(ctx, b, a.Receipt, throttle.Wrong)
				}
			}
			if granted != 5 {
				t.Errorf("%s: %d guesses granted on a budget of 5", tc.name, granted)
			}
			s.Flush()
			if err := s.Clear(ctx, b.Charges[budget.Pair].Key, budget.Pair); err == nil {
				t.Errorf("%s: Clear reports that it cleared a foreign value", tc.name)
			}
			if got := tc.read(key); got != before || before == "" && tc.name != "empty" {
				t.Errorf("%s: %q became %q", tc.name, before, got)
			}
			if n.count() != 1 {
				t.Errorf("%s: %d notices; want 1", tc.name, n.count())
			}
			if !s.Shared() {
				t.Errorf("%s: one foreign value ended the sharing of all budgets", tc.name)
			}
		}
	}
}

// TestScriptFlush: the store loads the script again after the server has lost it.
func TestScriptFlush(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	c := srv.Client(t)
	n := newNotices()
	s := newStore(t, redisstore.Config{Client: c, Notice: n.add})
	granted := 0
	for i := range 30 {
		if i%3 == 0 {
			if err := c.ScriptFlush(ctx).Err(); err != nil {
				t.Fatal(err)
			}
		}
		b := bill(1, 10)
		a, err := s.Spend(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if i%5 == 0 {
			c.ScriptFlush(ctx)
		}
		if a.Verdict == throttle.Granted {
			granted++
			s.Settle(ctx, b, a.Receipt, throttle.Wrong)
			s.Flush()
		}
	}
	if granted != 10 || n.count() != 0 {
		t.Errorf("%d granted on a budget of 10, %d notices", granted, n.count())
	}
}

// TestBadConfig: New returns all errors of a Config at once.
func TestBadConfig(t *testing.T) {
	t.Parallel()
	_, err := redisstore.New(redisstore.Config{Prefix: "{a}", Timeout: time.Minute, ProbeEvery: -1})
	if err == nil {
		t.Fatal("no error")
	}
	if n := len(err.(interface{ Unwrap() []error }).Unwrap()); n != 4 {
		t.Errorf("%d errors in %v", n, err)
	}
	if redisstore.DefaultTimeout != 500*time.Millisecond || redisstore.DefaultPrefix != "otelauth" || redisstore.DefaultProbeEvery != time.Second {
		t.Error("a default differs from its doc comment")
	}
}
