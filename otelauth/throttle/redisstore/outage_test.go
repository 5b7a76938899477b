// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budgettest"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

// load simulates users, each with an account of its own. Half of the guesses are wrong. No guess
// may end in an error.
type load struct {
	stop   chan struct{}
	wg     sync.WaitGroup
	done   atomic.Int64
	errors atomic.Int64
}

func startLoad(t testing.TB, s budget.Store) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	for i := range 8 {
		l.wg.Go(func() {
			pace := time.NewTicker(2 * time.Millisecond)
			defer pace.Stop()
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				b := bill(0, 1<<15)
				b.Charges[budget.Pair].Key = budgettest.Key(fmt.Sprint("load", i, byte(n)))
				a, err := s.Spend(ctx, b)
				if err != nil {
					l.errors.Add(1)
				}
				if a.Verdict == throttle.Granted {
					s.Settle(ctx, b, a.Receipt, throttle.Settlement(n%2))
				}
				l.done.Add(1)
				<-pace.C // the cost of a hash, because memory alone is faster than any queue
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

// pass waits until n more guesses have been answered.
func (l *load) pass(t testing.TB, n int64) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for want := l.done.Load() + n; l.done.Load() < want; {
		if time.Now().After(deadline) {
			t.Fatal("guesses are not answered any more")
		}
		<-time.After(time.Millisecond)
	}
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.wg.Wait()
}

// wrong tries wrong passwords and returns the number of granted ones.
func wrong(t testing.TB, s *redisstore.Store, b budget.Bill, times int) (granted int) {
	t.Helper()
	for range times {
		a, err := s.Spend(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if a.Verdict == throttle.Granted {
			granted++
			s.Settle(ctx, b, a.Receipt, throttle.Wrong)
			if s.Shared() {
				s.Flush()
			}
		}
	}
	return granted
}

// TestOutages takes Redis away during load, in each of three ways, twice.
func TestOutages(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name       string
		away, back func(t *testing.T, srv server, p *proxy)
		keeps      bool // Redis keeps its budgets
	}{
		{
			"killed and restarted",
			func(_ *testing.T, srv server, _ *proxy) { srv.Kill() },
			func(t *testing.T, srv server, _ *proxy) {
				t.Helper()
				srv.Restart(t)
			}, false,
		},
		{
			"frozen",
			func(t *testing.T, srv server, _ *proxy) {
				t.Helper()
				srv.Freeze(t)
			},
			func(t *testing.T, srv server, _ *proxy) {
				t.Helper()
				srv.Thaw(t)
			}, true,
		},
		{
			"cut off",
			func(_ *testing.T, _ server, p *proxy) { p.drop(true) },
			func(_ *testing.T, _ server, p *proxy) { p.reset(); p.drop(false) }, true,
		},
		{
			"reset",
			func(_ *testing.T, _ server, p *proxy) { p.drop(true); p.reset() },
			func(_ *testing.T, _ server, p *proxy) { p.reset(); p.drop(false) }, true,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := startRedis(t)
			p := startProxy(t, srv.Addr)
			c := redis.NewClient(&redis.Options{Addr: p.addr, ContextTimeoutEnabled: true})
			t.Cleanup(func() { _ = c.Close() })
			n := newNotices()
			s := newStore(t, redisstore.Config{
				Client: c, Timeout: 500 * time.Millisecond, ProbeEvery: 10 * time.Millisecond, Notice: n.add,
			})
			l := startLoad(t, s)
			l.pass(t, 200)

			for round := range 2 {
				b, other := bill(byte(round+1), 5), bill(byte(round+101), 5)
				if got := wrong(t, s, other, 2); got != 2 {
					t.Fatalf("%d of 2 guesses granted while all is well", got)
				}
				if got := wrong(t, s, b, 2); got != 2 {
					t.Fatalf("%d of 2 guesses granted while all is well", got)
				}
				tc.away(t, srv, p)
				if recorded := testkit.Receive(t, "the loss", n.c); recorded.Kind != attempt.ThrottleStore || recorded.Err == nil || recorded.Message == "" {
					t.Errorf("recorded %+v of the loss", recorded)
				}
				if s.Shared() {
					t.Error("lost, and still shared")
				}
				if got := wrong(t, s, b, 2); got != 2 {
					t.Errorf("%d of 2 guesses granted by memory", got)
				}
				if got := wrong(t, s, other, 9); got != 3 {
					t.Errorf("memory granted %d guesses of the 3 that are left", got)
				}
				l.pass(t, 200)
				tc.back(t, srv, p)
				if recorded := testkit.Receive(t, "the return", n.c); recorded.Kind != attempt.ThrottleStore || recorded.Err != nil || recorded.Message == "" {
					t.Errorf("recorded %+v of the return", recorded)
				}
				l.pass(t, 200)
				want := 1 // 2 guesses before and 2 during the outage count, of 5
				if !tc.keeps {
					want = 3 // a server without persistence has only the guesses sent again
				}
				if got := wrong(t, s, b, 10); got != want {
					t.Errorf("%d guesses granted after the return; want %d", got, want)
				}
				if !s.Shared() {
					t.Error("returned, and not shared")
				}
			}
			l.end()
			if got := n.count(); got != 4 {
				t.Errorf("%d notices for 4 changes: %v", got, n.all)
			}
			if l.errors.Load() > 0 {
				t.Errorf("%d of %d users saw an error", l.errors.Load(), l.done.Load())
			}
		})
	}
}

// TestEmptyBudgetStaysEmptyWithoutRedis: a budget that Redis reported as empty stays empty when
// Redis is lost.
func TestEmptyBudgetStaysEmptyWithoutRedis(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	n := newNotices()
	s := newStore(t, redisstore.Config{Client: srv.Client(t), ProbeEvery: time.Hour, Notice: n.add})
	b, known := bill(1, 5), bill(2, 1)
	if got := wrong(t, s, b, 9); got != 5 {
		t.Fatalf("%d granted of a budget of 5", got)
	}
	// A pair that succeeded is known here too.
	a, err := s.Spend(ctx, known)
	if err != nil {
		t.Fatal(err)
	}
	s.Settle(ctx, known, a.Receipt, throttle.Right)
	srv.Kill()
	if got := wrong(t, s, b, 9); got != 0 {
		t.Errorf("%d more granted after Redis was lost", got)
	}
	if a, err := s.Spend(ctx, known); err != nil || !a.Known || a.Verdict != throttle.Granted {
		t.Errorf("the owner got %+v, %v after Redis was lost", a, err)
	}
	if n.count() != 1 {
		t.Errorf("%d notices", n.count())
	}
}

// TestOthersGuessesCountWithoutRedis: a budget that other processes emptied stays empty in this
// process once Redis has reported it.
func TestOthersGuessesCountWithoutRedis(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	here := newStore(t, redisstore.Config{Client: srv.Client(t), ProbeEvery: time.Hour})
	there := newStore(t, redisstore.Config{Client: srv.Client(t), ProbeEvery: time.Hour})
	b := bill(1, 5)
	b.Charges[budget.Network] = budget.Charge{Key: budgettest.Key("2"), Limit: budget.Limit{Burst: 300, Every: time.Second}}
	if got := wrong(t, there, b, 9); got != 5 {
		t.Fatalf("%d granted there of a budget of 5", got)
	}
	if got := wrong(t, here, b, 1); got != 0 {
		t.Fatal("granted here, although it is empty")
	}
	srv.Kill()
	if got := wrong(t, here, b, 9); got != 0 {
		t.Errorf("%d granted here once Redis was lost", got)
	}
	neighbour := b
	neighbour.Charges[budget.Pair].Key = budgettest.Key("3")
	if got := wrong(t, here, neighbour, 9); got != 5 {
		t.Errorf("%d of 5 granted to a neighbour on the same network", got)
	}
}

// TestLostRedisIsNotAsked: a frozen Redis delays one guess, and no later one.
func TestLostRedisIsNotAsked(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	p := startProxy(t, srv.Addr)
	c := redis.NewClient(&redis.Options{Addr: p.addr, ContextTimeoutEnabled: true, MaxRetries: 3})
	t.Cleanup(func() { _ = c.Close() })
	n := newNotices()
	s := newStore(t, redisstore.Config{Client: c, Timeout: redisstore.MinTimeout, ProbeEvery: time.Hour, Notice: n.add})
	for range 3 { // connects
		wrong(t, s, bill(1, 1000), 1)
	}
	p.drop(true)
	wrong(t, s, bill(2, 1000), 1)
	if s.Shared() {
		t.Fatal("Redis answers nothing, and is still asked")
	}
	before := p.requests()
	wrong(t, s, bill(2, 1000), 500)
	if got := p.requests() - before; got != 0 {
		t.Errorf("%d requests went to a Redis that does not answer", got)
	}
	if n.count() != 1 {
		t.Errorf("%d notices", n.count())
	}
}

// TestThawChargesNothing: a thawing server ignores the commands in its sockets, because the
// fallback has decided about them.
func TestThawChargesNothing(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	c := srv.Client(t) // ignores contexts, so a command without a waiting guess remains in transit
	n := newNotices()
	s := newStore(t, redisstore.Config{Client: c, Timeout: 200 * time.Millisecond, ProbeEvery: 10 * time.Millisecond, Notice: n.add})
	b := bill(1, 9)
	wrong(t, s, b, 1)
	srv.Freeze(t)
	wrong(t, s, b, 3)
	if recorded := testkit.Receive(t, "the loss", n.c); recorded.Err == nil {
		t.Fatal(recorded)
	}
	<-time.After(400 * time.Millisecond) // on the server's own clock
	srv.Thaw(t)
	if recorded := testkit.Receive(t, "the return", n.c); recorded.Err != nil {
		t.Fatal(recorded)
	}
	v, err := s.Look(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Budgets[budget.Pair]; got.Left != 5 || got.Held != 0 {
		t.Errorf("%d left and %d held of 9 after 4 wrong guesses", got.Left, got.Held)
	}
}

// TestNoGuessIsSentTwice: a lost reply does not show whether the script ran, and a client that
// retries would hold two guesses for one.
func TestNoGuessIsSentTwice(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	p := startProxy(t, srv.Addr)
	c := redis.NewClient(&redis.Options{Addr: p.addr, MaxRetries: 3, PoolSize: 1})
	t.Cleanup(func() { _ = c.Close() })
	s := newStore(t, redisstore.Config{Client: c, ProbeEvery: time.Hour})
	b := bill(1, 9)
	p.loseReply()
	if a, err := s.Spend(ctx, b); err != nil || a.Verdict != throttle.Granted {
		t.Fatal(a, err)
	}
	v, err := s.Look(ctx, b)
	if err != nil || !s.Shared() {
		t.Fatal(err, s.Shared())
	}
	if got := v.Budgets[budget.Pair].Held; got != 1 {
		t.Errorf("one guess holds %d", got)
	}
}

// TestLateGrantIsGivenBack: a guess that Redis granted too late was decided by memory, and must
// not count twice.
func TestLateGrantIsGivenBack(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	p := startProxy(t, srv.Addr)
	c := redis.NewClient(&redis.Options{Addr: p.addr})
	t.Cleanup(func() { _ = c.Close() })
	direct := newStore(t, redisstore.Config{Client: srv.Client(t)})
	// A guess is void if it reaches Redis later than its timeout and late, so this timeout is long
	// enough for a machine under load.
	s := newStore(t, redisstore.Config{Client: c, Timeout: 500 * time.Millisecond, ProbeEvery: 10 * time.Millisecond})
	b := bill(1, 9)
	release := p.stall()
	a, err := s.Spend(ctx, b)
	if err != nil || a.Verdict != throttle.Granted {
		t.Fatal(a, err)
	}
	if v, err := direct.Look(ctx, b); err != nil || v.Budgets[budget.Pair].Held != 1 {
		t.Fatalf("the guess did not reach Redis: %+v, %v", v, err)
	}
	release()
	s.Settle(ctx, b, a.Receipt, throttle.Wrong)
	deadline := time.Now().Add(30 * time.Second)
	for {
		v, err := direct.Look(ctx, b)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Budgets[budget.Pair]; got.Held == 0 && got.Left == 8 {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%d left and %d held of 9 after one wrong guess", got.Left, got.Held)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// TestOneRoundTripAGuess: one packet a guess, whatever its bill.
func TestOneRoundTripAGuess(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	p := startProxy(t, srv.Addr)
	c := redis.NewClient(&redis.Options{Addr: p.addr, PoolSize: 1})
	t.Cleanup(func() { _ = c.Close() })
	s := newStore(t, redisstore.Config{Client: c})
	s.Warm()
	b := bill(1, 1000)
	b.Charges[budget.Account] = budget.Charge{Key: budgettest.Key("2"), Limit: budget.Limit{Burst: 1000, Every: time.Minute}}
	b.Charges[budget.Network] = budget.Charge{Key: budgettest.Key("3"), Limit: budget.Limit{Burst: 300, Every: time.Second}}
	b.Charges[budget.Site] = budget.Charge{Key: budgettest.Key("4"), Limit: budget.Limit{Burst: 3000, Every: time.Second}}
	if _, err := s.Spend(ctx, b); err != nil { // connects and loads the script
		t.Fatal(err)
	}
	before := p.requests()
	for range 100 {
		if a, err := s.Spend(ctx, b); err != nil || a.Verdict != throttle.Granted {
			t.Fatal(a, err)
		}
	}
	if got := p.requests() - before; got != 100 {
		t.Errorf("%d requests for 100 guesses", got)
	}
	// Settlements are sent together.
	before = p.requests()
	for range 100 {
		s.Settle(ctx, b, budget.Receipt{Held: 15, Epoch: 1}, throttle.Wrong)
	}
	s.Flush()
	if got := p.requests() - before; got > 100 {
		t.Errorf("%d requests for 100 settlements", got)
	}
}

// TestReadOnlyRedis: a Redis that answers and cannot write counts as lost.
func TestReadOnlyRedis(t *testing.T) {
	t.Parallel()
	srv := startRedis(t)
	admin := srv.Client(t)
	n := newNotices()
	s := newStore(t, redisstore.Config{Client: srv.Client(t), ProbeEvery: 10 * time.Millisecond, Notice: n.add})
	wrong(t, s, bill(1, 9), 1)
	if err := admin.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if got := wrong(t, s, bill(1, 9), 12); got != 8 {
		t.Errorf("%d granted of the 8 that are left", got)
	}
	if recorded := testkit.Receive(t, "the loss", n.c); recorded.Err == nil {
		t.Fatal(recorded)
	}
	if err := admin.ConfigSet(ctx, "maxmemory", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if recorded := testkit.Receive(t, "the return", n.c); recorded.Err != nil {
		t.Fatal(recorded)
	}
}

// TestStartWithoutRedis: a service starts, and its accounts are protected, while its Redis is
// down.
func TestStartWithoutRedis(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	srv := startRedis(t)
	srv.Kill()
	n := newNotices()
	s := newStore(t, redisstore.Config{Client: srv.Client(t), ProbeEvery: 10 * time.Millisecond, Notice: n.add})
	if got := wrong(t, s, bill(1, 5), 9); got != 5 {
		t.Errorf("%d granted of a budget of 5", got)
	}
	testkit.Receive(t, "the loss", n.c)
	srv.Restart(t)
	if recorded := testkit.Receive(t, "the return", n.c); recorded.Err != nil {
		t.Fatal(recorded)
	}
	if got := wrong(t, s, bill(1, 5), 9); got != 0 {
		t.Errorf("%d granted although the budget was emptied before Redis came", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Spend(ctx, bill(3, 5)); err != nil {
		t.Errorf("after Close: %v", err)
	}
}
