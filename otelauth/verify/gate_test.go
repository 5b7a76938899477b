// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// slow is a Verifier whose answers take a second of the bubble's clock. It records the order of
// its calls. It accepts every name with the password "right".
type slow struct {
	mu    sync.Mutex
	asked []string
	most  int
	now   int
}

func (s *slow) Verify(_ context.Context, name string, secret credential.Secret) (*verify.Account, error) {
	s.mu.Lock()
	s.asked = append(s.asked, name)
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	time.Sleep(time.Second) // the bubble's clock, which advances when all goroutines wait
	s.mu.Lock()
	s.now--
	s.mu.Unlock()
	switch string(secret.Expose()) {
	case "right":
		return &verify.Account{Name: name}, nil
	case "panic":
		panic("secret")
	case "down":
		return nil, errors.New("directory: no answer")
	case "quoted":
		return nil, fmt.Errorf("directory: bind %s/quoted: %w", name, context.DeadlineExceeded)
	}
	return nil, nil
}

type answer struct {
	name    string
	network netip.Prefix
	res     attempt.Result
	took    time.Duration
}

// crowd sends attempts that wait at one gate, one after the other.
type crowd struct {
	t       *testing.T
	engine  *verify.Engine
	slow    *slow
	th      *script
	wg      sync.WaitGroup
	mu      sync.Mutex
	answers []answer
}

func newCrowd(t *testing.T, limits verify.Limits) *crowd {
	t.Helper()
	if limits.Slots == 0 {
		limits.Slots = 1
	}
	c := &crowd{t: t, slow: &slow{}, th: &script{verdict: throttle.Granted}}
	c.engine = newEngine(t, verify.Config{Verifier: c.slow, Gate: verify.NewGate(limits), Throttle: c.th, TTL: time.Millisecond})
	return c
}

func (c *crowd) send(ctx context.Context, name, pass string, network netip.Prefix) {
	c.wg.Go(func() {
		start := time.Now()
		var res attempt.Result
		c.engine.Verify(ctx, start, field(c.t, name, pass), network, &res)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.answers = append(c.answers, answer{name, network, res, time.Since(start)})
	})
	synctest.Wait() // it is in the queue before the next one
}

func (c *crowd) done() []answer {
	c.wg.Wait()
	answers := c.answers
	c.answers = nil
	return answers
}

func network(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 1, byte(i >> 8), byte(i)}), 32)
}

func TestNetworksTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, verify.Limits{MaxWait: time.Hour})
		for i := range 6 {
			c.send(t.Context(), fmt.Sprint("flood", i), "wrong", network(1))
		}
		c.send(t.Context(), "alice", "right", network(2))
		c.send(t.Context(), "bob", "right", network(3))
		c.done()
		want := []string{"flood0", "flood1", "alice", "bob", "flood2", "flood3", "flood4", "flood5"}
		if !slices.Equal(c.slow.asked, want) {
			t.Errorf("asked in the order %v, want %v", c.slow.asked, want)
		}
		if c.slow.most != 1 {
			t.Errorf("%d at once in one slot", c.slow.most)
		}
	})
}

// TestARightCredentialGivesTheTurnBack: colleagues behind one address, each with an account, wait
// one round of a flood's networks together, not one each.
func TestARightCredentialGivesTheTurnBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, verify.Limits{MaxWait: time.Hour})
		for i := range 5 {
			c.send(t.Context(), fmt.Sprint("f", i), "wrong", network(i))
			c.send(t.Context(), fmt.Sprint("g", i), "wrong", network(i))
		}
		for i := range 3 {
			c.send(t.Context(), fmt.Sprint("new", i), "right", home)
		}
		c.send(t.Context(), "typo", "wrong", home)
		c.send(t.Context(), "late", "right", home)
		c.done()
		want := "f0 g0 f1 f2 f3 f4 new0 new1 new2 typo g1 g2 g3 g4 late"
		if got := strings.Join(c.slow.asked, " "); got != want {
			t.Errorf("asked in the order %s, want %s", got, want)
		}
	})
}

// TestOnlyARightCredentialHasALaneOfItsOwn: the time of an answer shows the place in the queue,
// so only a right password gets a better one. Wrong guesses at an account from a network where it
// has succeeded wait like those at any other name.
func TestOnlyARightCredentialHasALaneOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, verify.Limits{MaxWait: time.Hour})
		c.send(t.Context(), "alice", "right", home)
		c.send(t.Context(), "bob", "right", home)
		c.done()
		time.Sleep(time.Second) // after the TTL: they are no longer recognised
		c.slow.asked = nil
		for i := range 9 {
			c.send(t.Context(), fmt.Sprint("f", i), "wrong", network(i))
		}
		c.send(t.Context(), "nobody", "guess", home)
		c.send(t.Context(), "alice", "guess", home)
		c.send(t.Context(), "bob", "right", home)
		c.done()
		got := strings.Join(c.slow.asked, " ")
		if want := "f0 f1 bob f2 f3 f4 f5 f6 f7 f8 nobody alice"; got != want {
			t.Errorf("asked in the order %s, want %s", got, want)
		}
	})
}

func TestTheLaneIsWeightedNotAbsolute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, verify.Limits{MaxWait: time.Hour})
		for i := range 12 {
			c.send(t.Context(), fmt.Sprint("known", i), "right", network(100+i))
		}
		c.done()
		time.Sleep(time.Second)
		c.slow.asked = nil
		c.send(t.Context(), "first", "wrong", network(1))
		for i := range 12 {
			c.send(t.Context(), fmt.Sprint("known", i), "right", network(100+i))
		}
		for i := range 3 {
			c.send(t.Context(), fmt.Sprint("stranger", i), "wrong", network(2+i))
		}
		c.done()
		for i := range 3 {
			at := slices.Index(c.slow.asked, fmt.Sprint("stranger", i))
			if at > 4*(i+1) {
				t.Errorf("stranger%d was asked as number %d of %v: starved", i, at, c.slow.asked)
			}
		}
	})
}

func TestWaitersForOneCredentialShareAHash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, verify.Limits{MaxWait: time.Hour})
		c.send(t.Context(), "first", "wrong", network(9))
		for i := range 20 {
			c.send(t.Context(), "alice", "right", network(i%2))
		}
		answers := c.done()
		if n := len(slices.DeleteFunc(slices.Clone(c.slow.asked), func(s string) bool { return s != "alice" })); n != 1 {
			t.Fatalf("alice was hashed %d times", n)
		}
		shared := 0
		for _, a := range answers {
			if a.name == "alice" && a.res.Outcome != attempt.Success {
				t.Errorf("%+v", a)
			}
			if a.res.Cache == attempt.Coalesced {
				shared++
			}
		}
		if shared != 19 {
			t.Errorf("%d coalesced, want 19", shared)
		}
		if n, settled := c.th.taken(); n != 21 || len(settled) != 21 {
			t.Errorf("%d guesses, %d settled, want 21 of each: every caller pays", n, len(settled))
		}
	})
}

// TestCVE_2026_88010: coalescing that depends on whether a user exists reveals which users do.
func TestCVE_2026_88010(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"alice", "nobody"} {
		synctest.Test(t, func(t *testing.T) {
			gate := verify.NewGate(verify.Limits{Slots: 1, MaxWait: time.Hour})
			blocker := newEngine(t, verify.Config{Verifier: &slow{}, Gate: gate})
			e := newEngine(t, verify.Config{
				Accounts: newStore(&verify.Account{Name: "alice", Password: hashed(t, cheap, "x")}), Gate: gate,
			})
			var wg sync.WaitGroup
			run := func(e *verify.Engine, f credential.Field, res *attempt.Result) {
				wg.Go(func() { e.Verify(t.Context(), time.Now(), f, home, res) })
				synctest.Wait()
			}
			run(blocker, field(t, "b", "b"), new(attempt.Result))
			var results [5]attempt.Result
			for i := range results {
				run(e, field(t, name, "guess"), &results[i])
			}
			wg.Wait()
			ran := 0
			for _, r := range results {
				if r.Hash.Ran() {
					ran++
				}
			}
			if ran != 1 {
				t.Errorf("%s: %d of 5 hashed, want 1", name, ran)
			}
		})
	}
}

// TestAWaiterKeepsItsOwnPlace: a stranger who tries the same credential does not move its owner
// to the stranger's long queue.
func TestAWaiterKeepsItsOwnPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, verify.Limits{MaxWait: time.Hour})
		for i := range 20 {
			c.send(t.Context(), fmt.Sprint("flood", i), "wrong", network(1))
		}
		c.send(t.Context(), "alice", "right", network(1)) // the stranger, number 21 of its network
		c.send(t.Context(), "alice", "right", network(2)) // the owner
		for _, a := range c.done() {
			if a.name == "alice" && a.network == network(2) && a.took > 3*time.Second {
				t.Errorf("the owner waited %v", a.took)
			}
		}
	})
}

func TestAFullQueueIsShedFromTheLongest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, verify.Limits{Queued: 8, MaxWait: time.Hour})
		for i := range 12 {
			c.send(t.Context(), fmt.Sprint("flood", i), "wrong", network(1))
		}
		for i := range 4 {
			c.send(t.Context(), fmt.Sprint("user", i), "right", network(10+i))
		}
		shed := 0
		for _, a := range c.done() {
			over := a.res.ErrorType == attempt.Overloaded
			if over {
				shed++
				if a.res.Outcome != attempt.Error || a.res.Reason != attempt.ReasonQueueFull {
					t.Errorf("%+v", a.res)
				}
			}
			if over && a.network != network(1) {
				t.Errorf("%s was shed instead of the flood", a.name)
			}
		}
		if shed != 7 { // 16 sent, 1 runs, 8 wait
			t.Errorf("%d shed, want 7", shed)
		}
		guesses, settled := c.th.taken()
		unjudged := 0
		for _, s := range settled {
			if s == throttle.Unjudged {
				unjudged++
			}
		}
		if guesses != 16 || len(settled) != 16 || unjudged != 7 {
			t.Errorf("%d guesses, settled %v: a guess that was not verified must be refunded", guesses, settled)
		}
	})
}

func TestALongWaitIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, verify.Limits{MaxWait: 3500 * time.Millisecond})
		// The gate measures that an answer takes a second.
		c.send(t.Context(), "measure", "wrong", network(1))
		c.done()
		for i := range 8 {
			c.send(t.Context(), fmt.Sprint("flood", i), "wrong", network(1))
		}
		refused := 0
		for _, a := range c.done() {
			if a.res.ErrorType != attempt.Overloaded {
				continue
			}
			refused++
			if a.took != 0 || a.res.RetryAfter <= 3500*time.Millisecond || a.network != network(1) {
				t.Errorf("%s refused after %v, RetryAfter %v", a.name, a.took, a.res.RetryAfter)
			}
		}
		if refused != 4 {
			t.Errorf("%d refused, want 4", refused)
		}
	})
}

func TestNoAttemptWaitsLongerThanMaxWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, verify.Limits{MaxWait: 2500 * time.Millisecond})
		for i := range 6 { // the gate has measured no time yet and accepts all
			c.send(t.Context(), fmt.Sprint("u", i), "right", network(i))
		}
		late := 0
		for _, a := range c.done() {
			if a.res.Reason == attempt.ReasonQueueTimeout {
				late++
				if a.took != 2500*time.Millisecond {
					t.Errorf("%s gave up after %v", a.name, a.took)
				}
			}
		}
		if late != 3 {
			t.Errorf("%d gave up, want 3", late)
		}
	})
}

// TestADisconnectedGuessStaysSpent is invariant 7: a client that disconnects gets no refund,
// whether its hash waits or runs.
func TestADisconnectedGuessStaysSpent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(t, verify.Limits{MaxWait: time.Hour})
		running, stopRunning := context.WithCancel(t.Context())
		waiting, stopWaiting := context.WithCancel(t.Context())
		late, stopLate := context.WithTimeout(t.Context(), time.Millisecond)
		defer stopLate()
		c.send(running, "running", "wrong", home)
		c.send(waiting, "waiting", "wrong", home)
		c.send(late, "late", "wrong", home)
		c.send(running, "shared", "wrong", home)
		c.send(t.Context(), "shared", "wrong", office)
		stopRunning()
		stopWaiting()
		got := map[string]attempt.Result{}
		for _, a := range c.done() {
			got[a.name+a.network.String()] = a.res
		}
		check(t, "running", got["running"+home.String()], want{attempt.Failure, attempt.Canceled, attempt.ReasonWrongPassword, attempt.Miss, false})
		check(t, "waiting", got["waiting"+home.String()], want{attempt.Error, attempt.Canceled, "", attempt.Miss, false})
		check(t, "late", got["late"+home.String()], want{attempt.Error, attempt.Timeout, "", attempt.Miss, false})
		check(t, "left, another stays", got["shared"+home.String()], want{attempt.Error, attempt.Canceled, "", attempt.Miss, false})
		check(t, "stays", got["shared"+office.String()], failed(attempt.ReasonWrongPassword, attempt.Miss, false))
		if want := []string{"running", "shared"}; !slices.Equal(c.slow.asked, want) {
			t.Errorf("asked %v, want %v: an attempt that left the queue is not hashed", c.slow.asked, want)
		}
		n, settled := c.th.taken()
		if n != 5 || len(settled) != 5 || slices.ContainsFunc(settled, func(s throttle.Settlement) bool { return s != throttle.Wrong }) {
			t.Errorf("%d guesses, settled %v; want 5 Wrong", n, settled)
		}
	})
}

func TestAVerifier(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, verify.Config{Verifier: &slow{}})
		unavailable := want{attempt.Error, attempt.AccountsUnavailable, attempt.ReasonVerifierFailed, attempt.Miss, false}
		check(t, "right", try(t, e, field(t, "alice", "right"), home), want{outcome: attempt.Success, cache: attempt.Miss})
		check(t, "right again", try(t, e, field(t, "alice", "right"), home), hitRight)
		check(t, "wrong", try(t, e, field(t, "alice", "wrong"), home), failed(attempt.ReasonWrongPassword, attempt.Miss, false))
		check(t, "a failure is not cached", try(t, e, field(t, "alice", "wrong"), home), failed(attempt.ReasonWrongPassword, attempt.Miss, false))
		check(t, "down", try(t, e, field(t, "alice", "down"), home), unavailable)
		res := try(t, e, field(t, "alice", "panic"), home)
		check(t, "panic", res, unavailable)
		if strings.Contains(res.Err.Error(), "secret") {
			t.Errorf("the error has the panic's value: %v", res.Err)
		}
		res = try(t, e, field(t, "alice", "quoted"), home)
		check(t, "an error that quotes the password", res, unavailable)
		if res.Err.Error() != "directory: bind alice/[redacted]: context deadline exceeded" || !errors.Is(res.Err, context.DeadlineExceeded) {
			t.Errorf("Err = %v", res.Err)
		}
		time.Sleep(verify.DefaultVerifierTTL)
		check(t, "right after the TTL", try(t, e, field(t, "alice", "right"), home), want{outcome: attempt.Success, cache: attempt.Miss})
	})
}

// stuck is a Verifier that does not answer until the channel is closed.
type stuck chan struct{}

func (s stuck) Verify(context.Context, string, credential.Secret) (*verify.Account, error) {
	<-s
	return nil, nil
}

// TestMemoryIsBounded: a hash that needs more memory than the limit runs alone. Others wait for
// theirs.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit int64
		most  int
	}{{1 << 20, 1}, {1 << 40, 4}} {
		gate := verify.NewGate(verify.Limits{Slots: 4, MemoryBytes: c.limit})
		lean := password.Params{MemoryKiB: 19456, Passes: 2, Lanes: 1}
		e := newEngine(t, verify.Config{Accounts: newStatic(t, lean), Gate: gate})
		var wg sync.WaitGroup
		most := 0
		for i := range 8 {
			wg.Go(func() {
				var res attempt.Result
				e.Verify(t.Context(), time.Now(), field(t, "alice", fmt.Sprint(i)), network(i), &res)
				if !res.Hash.Ran() {
					t.Errorf("%+v", res)
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		for ended := false; !ended; {
			running, _ := gate.Load()
			most = max(most, running)
			select {
			case <-done:
				ended = true
			default:
				runtime.Gosched()
			}
		}
		if most > c.most {
			t.Errorf("%d ran at once in %d bytes, want at most %d", most, c.limit, c.most)
		}
	}
}

func TestSetLimitsBindsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		gate := verify.NewGate(verify.Limits{Slots: 1})
		s := &slow{}
		e := newEngine(t, verify.Config{Verifier: s, Gate: gate})
		for i := range 4 {
			go func() {
				var res attempt.Result
				e.Verify(t.Context(), time.Now(), field(t, "u", fmt.Sprint(i)), home, &res)
			}()
		}
		synctest.Wait()
		if running, queued := gate.Load(); running != 1 || queued != 3 {
			t.Errorf("%d run, %d wait", running, queued)
		}
		gate.SetLimits(verify.Limits{Slots: 3})
		synctest.Wait()
		if running, queued := gate.Load(); running != 3 || queued != 1 {
			t.Errorf("after SetLimits %d run, %d wait", running, queued)
		}
		time.Sleep(3 * time.Second)
	})
}
