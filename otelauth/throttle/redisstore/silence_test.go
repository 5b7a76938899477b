// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

// TestSilence checks when a guess stops waiting, by the replies to other commands between its
// steps.
func TestSilence(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		replies  func(step int) uint64
		steps    int
		wantLost bool
	}{
		"no reply at all":         {func(int) uint64 { return 7 }, redisstore.SilenceSteps, true},
		"a reply, then none":      {func(step int) uint64 { return uint64(min(step, 5)) }, 5 + redisstore.SilenceSteps, true},
		"others are answered":     {func(step int) uint64 { return uint64(step) }, redisstore.Patience * redisstore.SilenceSteps, false},
		"others, in each timeout": {func(step int) uint64 { return uint64(step / 19) }, redisstore.Patience * redisstore.SilenceSteps, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps, lost := redisstore.CountSilence(test.replies)
			if steps != test.steps || lost != test.wantLost {
				t.Errorf("given up after %d steps, lost: %v; want %d, %v", steps, lost, test.steps, test.wantLost)
			}
		})
	}
}

// TestBusyProcessHoldsItsGuesses checks a guess that cannot be sent because every connection is in
// use. The memory of the process does not decide about it, and it is not evidence against Redis.
func TestBusyProcessHoldsItsGuesses(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	c := redis.NewClient(&redis.Options{Addr: srv.Addr, PoolSize: 1, PoolTimeout: time.Millisecond})
	t.Cleanup(func() { _ = c.Close() })
	s := newStore(t, redisstore.Config{Client: c, Timeout: redisstore.MaxTimeout})
	only := c.Conn()
	if err := only.Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	b := bill(1, 5)
	for range 5 {
		a, err := s.Spend(ctx, b)
		if err != nil || a.Verdict != throttle.Held || a.RetryAfter <= 0 {
			t.Fatalf("%+v, %v; want Held, to be asked again", a, err)
		}
	}
	if !s.Shared() {
		t.Error("Redis was taken as lost")
	}
	if err := only.Close(); err != nil {
		t.Fatal(err)
	}
	if a, err := s.Spend(ctx, b); err != nil || a.Verdict != throttle.Granted {
		t.Errorf("%+v, %v once a connection is free", a, err)
	}
}

// TestSilenceOutlastsTheClient checks that a frozen Redis is lost even if the client gives up each
// command, by a clock, before the silence is complete.
func TestSilenceOutlastsTheClient(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	srv := startRedis(t)
	c := redis.NewClient(&redis.Options{Addr: srv.Addr, ReadTimeout: 100 * time.Millisecond})
	t.Cleanup(func() { _ = c.Close() })
	s := newStore(t, redisstore.Config{Client: c, Timeout: time.Second, ProbeEvery: time.Hour})
	srv.Freeze(t)
	held := 0
	testkit.Eventually(t, "the loss", func() bool {
		a, err := s.Spend(ctx, bill(1, 1000))
		if err != nil {
			t.Fatal(err)
		}
		if a.Verdict == throttle.Held {
			held++
		}
		return !s.Shared()
	})
	if held == 0 {
		t.Error("the first command outlasted its timeout")
	}
}

// frozen returns a store whose Redis is frozen, and a function that thaws it.
func frozen(t *testing.T) (s *redisstore.Store, thaw func()) {
	t.Helper()
	srv := startRedis(t)
	n := newNotices()
	s = newStore(t, redisstore.Config{Client: srv.Client(t), Timeout: 200 * time.Millisecond, ProbeEvery: 10 * time.Millisecond, Notice: n.add})
	srv.Freeze(t)
	wrong(t, s, bill(9, 5), 1)
	if lost := testkit.Receive(t, "the loss", n.c); lost.Err == nil {
		t.Fatal(lost)
	}
	return s, func() {
		srv.Thaw(t)
		if found := testkit.Receive(t, "the return", n.c); found.Err != nil {
			t.Fatal(found)
		}
	}
}

// TestFallbackIsChargedFirst checks that Redis has the grants of the fallback before it is asked
// again, including guesses that are still being hashed.
func TestFallbackIsChargedFirst(t *testing.T) {
	t.Parallel()
	s, thaw := frozen(t)
	b := bill(1, 5)
	var open []budget.Answer
	for range 5 {
		a, err := s.Spend(ctx, b)
		if err != nil || a.Verdict != throttle.Granted {
			t.Fatal(a, err)
		}
		open = append(open, a)
	}
	thaw()
	if a, err := s.Spend(ctx, b); err != nil || a.Verdict == throttle.Granted {
		t.Errorf("one more guess got %+v, %v", a, err)
	}
	for _, a := range open {
		s.Settle(ctx, b, a.Receipt, throttle.Wrong)
	}
	s.Flush()
	if got := leftInRedis(t, s, b); got != 0 {
		t.Errorf("%d left of 5 after 5 wrong guesses", got)
	}
}

// TestFallbackGivesBack checks that a guess which the fallback granted costs nothing if it was not
// wrong, whether it is settled before or after Redis returns.
func TestFallbackGivesBack(t *testing.T) {
	t.Parallel()
	for _, how := range []throttle.Settlement{throttle.Right, throttle.Unjudged} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("settlement %d, before the return: %v", how, before), func(t *testing.T) {
				t.Parallel()
				s, thaw := frozen(t)
				b := bill(1, 5)
				wrong(t, s, b, 2)
				a, err := s.Spend(ctx, b)
				if err != nil || a.Verdict != throttle.Granted {
					t.Fatal(a, err)
				}
				if before {
					s.Settle(ctx, b, a.Receipt, how)
					thaw()
				} else {
					thaw()
					s.Settle(ctx, b, a.Receipt, how)
				}
				s.Flush()
				want := 3
				if how == throttle.Right {
					want = b.KnownPair.Burst
				}
				if got := leftInRedis(t, s, b); got != want {
					t.Errorf("%d left; want %d", got, want)
				}
			})
		}
	}
}

func leftInRedis(t *testing.T, s *redisstore.Store, b budget.Bill) int {
	t.Helper()
	v, err := s.Look(ctx, b)
	if err != nil || !s.Shared() {
		t.Fatal(err, s.Shared())
	}
	return v.Budgets[budget.Pair].Left
}
