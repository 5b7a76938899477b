// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"fmt"
	"time"
)

// Limit is a budget of guesses: Burst at once, and when they are spent one more each Every. The zero Limit is no budget.
//
// It is the generic cell rate algorithm (GCRA, ITU-T I.371 annex A) in its form with a theoretical arrival time
// (TAT): one moment is the whole state, and it decays by itself as time passes. A TAT that is not after now is a full
// budget; one that is Burst × Every ahead is an empty one. Moments are durations since any fixed moment; nothing
// here reads a clock.
type Limit struct {
	// Burst is how many guesses a full budget holds, 1 to [MaxBurst].
	Burst int
	// Every is the time in which one guess comes back, 1 ms to [MaxSpan] / Burst.
	Every time.Duration
}

// The bounds of a [Limit].
const (
	MaxBurst = 1<<16 - 1
	MinEvery = time.Millisecond
	// MaxSpan bounds Burst × Every, the time in which an empty budget fills.
	MaxSpan = 400 * 24 * time.Hour
)

// String returns "10, then 1 each 1m0s".
func (l Limit) String() string {
	if l == (Limit{}) {
		return "none"
	}
	return fmt.Sprintf("%d, then 1 each %v", l.Burst, l.Every)
}

// Span is the time in which an empty budget fills.
func (l Limit) Span() time.Duration { return time.Duration(l.Burst) * l.Every }

// bound returns the TAT within what can be: not before now, which says the same as any earlier moment, and not further
// ahead than an empty budget, which only a clock that went back can have left behind.
func (l Limit) bound(tat, now time.Duration) time.Duration {
	return min(max(tat, now), now+l.Span())
}

// Left is how many whole guesses the budget holds now, 0 to Burst.
func (l Limit) Left(tat, now time.Duration) int {
	if l.Every <= 0 {
		return 0
	}
	return int((now + l.Span() - l.bound(tat, now)) / l.Every)
}

// Wait is the time until the budget holds one whole guess; 0 when it does.
func (l Limit) Wait(tat, now time.Duration) time.Duration {
	return max(0, l.bound(tat, now)-(now+l.Span()-l.Every))
}

// Charge returns the TAT after n guesses. A budget cannot be emptier than empty.
func (l Limit) Charge(tat, now time.Duration, n int) time.Duration {
	return l.bound(l.bound(tat, now)+time.Duration(min(n, l.Burst))*l.Every, now)
}

// Refund returns the TAT after n guesses are given back. A budget cannot be fuller than full.
func (l Limit) Refund(tat, now time.Duration, n int) time.Duration {
	return l.bound(l.bound(tat, now)-time.Duration(min(n, l.Burst))*l.Every, now)
}
