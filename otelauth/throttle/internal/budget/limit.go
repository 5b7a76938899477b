// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package budget

import "time"

// Limit is a budget of guesses: Burst at once, then one more each Every. The zero Limit is no
// budget.
//
// It is the generic cell rate algorithm (GCRA, ITU-T I.371 annex A) in its form with a theoretical
// arrival time (TAT). One moment is the whole state, and it decays as time passes. A TAT that is
// not after now is a full budget; one that is Burst × Every ahead is an empty one. Moments are
// durations since any fixed moment; nothing here reads a clock.
type Limit struct {
	// Burst is the number of guesses that a full budget holds, 1 to [MaxBurst].
	Burst int
	// Every is the time in which one guess comes back, [MinEvery] to [MaxSpan] / Burst.
	Every time.Duration
}

// The bounds of a [Limit].
const (
	MaxBurst = 1<<16 - 1
	MinEvery = time.Millisecond
	// MaxSpan bounds Burst × Every, the time in which an empty budget fills.
	MaxSpan = 400 * 24 * time.Hour
)

// Span returns the time in which an empty budget fills.
func (l Limit) Span() time.Duration { return time.Duration(l.Burst) * l.Every }

// bound returns the TAT between now and now + Span. An earlier moment means the same as now. Only a
// clock that went back can leave a later one behind.
func (l Limit) bound(tat, now time.Duration) time.Duration {
	return min(max(tat, now), now+l.Span())
}

// Left returns the number of whole guesses that the budget holds now, 0 to Burst.
func (l Limit) Left(tat, now time.Duration) int {
	if l.Every <= 0 {
		return 0
	}
	return int((now + l.Span() - l.bound(tat, now)) / l.Every)
}

// Wait returns the time until the budget holds one whole guess; 0 when it does.
func (l Limit) Wait(tat, now time.Duration) time.Duration {
	return max(0, l.bound(tat, now)-(now+l.Span()-l.Every))
}

// Charge returns the TAT after n guesses. It never exceeds that of an empty budget.
func (l Limit) Charge(tat, now time.Duration, n int) time.Duration {
	return l.bound(l.bound(tat, now)+time.Duration(min(n, l.Burst))*l.Every, now)
}

// Refund returns the TAT after n guesses are given back. It is never below that of a full budget.
func (l Limit) Refund(tat, now time.Duration, n int) time.Duration {
	return l.bound(l.bound(tat, now)-time.Duration(min(n, l.Burst))*l.Every, now)
}
