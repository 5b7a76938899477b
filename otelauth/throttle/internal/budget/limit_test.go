// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// ledger is a slow reference for the GCRA: a bucket of guesses that fills continuously.
type ledger struct {
	l    budget.Limit
	time time.Duration // spent guesses that have not come back yet
	last time.Duration
}

func (b *ledger) at(now time.Duration) {
	if now > b.last {
		b.time = max(0, b.time-(now-b.last))
		b.last = now
	}
}

func (b *ledger) left() int { return int((b.l.Span() - b.time) / b.l.Every) }

// TestLimitAgreesWithALedger compares every state of a small budget at every millisecond with the
// reference.
func TestLimitAgreesWithALedger(t *testing.T) {
	t.Parallel()
	for burst := 1; burst <= 4; burst++ {
		l := budget.Limit{Burst: burst, Every: 3 * time.Millisecond}
		var walk func(depth int, tat, now time.Duration, b ledger)
		walk = func(depth int, tat, now time.Duration, b ledger) {
			if got, want := l.Left(tat, now), b.left(); got != want {
				t.Fatalf("%v: Left(%v, %v) = %d, want %d", l, tat, now, got, want)
			}
			wait := time.Duration(0)
			if b.left() == 0 {
				wait = b.time - (l.Span() - l.Every)
			}
			if got := l.Wait(tat, now); got != wait {
				t.Fatalf("%v: Wait(%v, %v) = %v, want %v", l, tat, now, got, wait)
			}
			if depth == 0 {
				return
			}
			for _, ms := range []int{0, 1, 2, 3, 7} {
				next := now + time.Duration(ms)*time.Millisecond
				c := b
				c.at(next)
				walk(depth-1, tat, next, c)
				if c.left() > 0 {
					c.time += l.Every
					walk(depth-1, l.Charge(tat, next, 1), next, c)
					c.time -= l.Every
				}
				c.time = max(0, c.time-l.Every)
				walk(depth-1, l.Refund(tat, next, 1), next, c)
			}
		}
		walk(4, 0, time.Hour, ledger{l: l, last: time.Hour})
	}
}

func TestLimitNeverWaitsLongerThanItsSpan(t *testing.T) {
	t.Parallel()
	l := budget.Limit{Burst: 10, Every: time.Minute}
	now := time.Hour
	// A clock that went back left a TAT far ahead.
	far := now + 100*time.Hour
	if got := l.Wait(far, now); got != time.Minute {
		t.Errorf("Wait = %v, want 1m: an empty budget is no emptier than empty", got)
	}
	if got := l.Left(l.Charge(far, now, 3), now); got != 0 {
		t.Errorf("Left = %d", got)
	}
	if got := l.Left(0, now); got != 10 {
		t.Errorf("Left of a full budget = %d", got)
	}
	if got := l.Left(l.Refund(0, now, 5), now); got != 10 {
		t.Errorf("a refund overfills: %d", got)
	}
	if got := (budget.Limit{}).Left(0, now); got != 0 {
		t.Errorf("the zero Limit has %d guesses", got)
	}
}

// FuzzLimit checks invariants of every limit, state and moment.
func FuzzLimit(f *testing.F) {
	f.Add(10, int64(time.Minute), int64(0), int64(time.Hour), 3)
	f.Add(1, int64(time.Millisecond), int64(-5), int64(0), 1)
	f.Add(budget.MaxBurst, int64(budget.MaxSpan/budget.MaxBurst), int64(1<<62), int64(budget.MaxSpan), budget.MaxBurst)
	f.Fuzz(func(t *testing.T, burst int, every, tatNS, nowNS int64, n int) {
		burst = 1 + int(uint(burst)%budget.MaxBurst)
		span := budget.MaxSpan / time.Duration(burst)
		l := budget.Limit{Burst: burst, Every: budget.MinEvery + time.Duration(uint64(every)%uint64(span-budget.MinEvery+1))}
		now := time.Duration(uint64(nowNS) % uint64(4*budget.MaxSpan))
		tat := time.Duration(tatNS)
		n = 1 + int(uint(n)%budget.MaxBurst)

		left, wait := l.Left(tat, now), l.Wait(tat, now)
		if left < 0 || left > l.Burst || wait < 0 || wait > l.Every || (left == 0) != (wait > 0) {
			t.Fatalf("%v: %d left, wait %v", l, left, wait)
		}
		if got := l.Left(min(tat, now+l.Span()), now+wait); got < 1 {
			t.Fatalf("%v: %d left after the wait of %v", l, got, wait)
		}
		charged := l.Charge(tat, now, n)
		if got := l.Left(charged, now); got != max(0, left-n) {
			t.Fatalf("%v: %d left of %d after %d", l, got, left, n)
		}
		if n <= left {
			if got := l.Left(l.Refund(charged, now, n), now); got != left {
				t.Fatalf("%v: a refund of %d leaves %d of %d", l, n, got, left)
			}
		}
		if l.Refund(tat, now, n) > max(tat, now) || charged < tat && tat <= now+l.Span() {
			t.Fatalf("%v: moments move the wrong way", l)
		}
		if later := l.Left(tat, now+l.Every); later < left || later > left+1 && tat <= now+l.Span() {
			t.Fatalf("%v: %d left, and %d one interval later", l, left, later)
		}
	})
}

func TestHolds(t *testing.T) {
	t.Parallel()
	l := budget.Limit{Burst: 3, Every: time.Hour}
	const lease = time.Minute
	now := 10 * time.Hour
	var h budget.Holds
	h.Advance(l, lease, now)
	first := h.Hold()
	now += lease
	h.Advance(l, lease, now)
	second := h.Hold()
	if h.Open() != 2 || h.Free(l, now) != 1 || h.Left(l, now) != 3 {
		t.Fatalf("two on their way: %+v", h)
	}
	now += lease
	h.Advance(l, lease, now) // the lease of the first has ended
	if h.Open() != 1 || h.Left(l, now) != 2 || h.Free(l, now) != 1 {
		t.Fatalf("one charged by its lease: %+v", h)
	}
	h.Settle(l, now, first, true) // already charged
	if h.Open() != 1 || h.Left(l, now) != 2 {
		t.Fatalf("charged twice: %+v", h)
	}
	h.Settle(l, now, second, false)
	if h.Open() != 0 || h.Left(l, now) != 2 {
		t.Fatalf("the second's hold stays: %+v", h)
	}
	third := h.Hold()
	h.Advance(l, lease, now-time.Hour) // a clock that goes back ends no lease
	if h.Open() != 1 {
		t.Fatalf("a clock that went back: %+v", h)
	}
	h.Advance(l, lease, now+5*lease)
	if h.Open() != 0 || h.Left(l, now+5*lease) != 1 {
		t.Fatalf("long after: %+v", h)
	}
	h.Settle(l, now+5*lease, third, false)
	if h.Left(l, now+5*lease) != 2 {
		t.Fatalf("a late right guess: %+v", h)
	}
}
