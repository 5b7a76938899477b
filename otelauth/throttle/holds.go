// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import "time"

// Holds is the state of one budget: the settled guesses as a TAT, and beside it how many guesses are on their way. It is
// what every [Store] keeps for a key; the zero Holds is a full budget. It is not safe for concurrent use.
//
// A guess that never settles, because its process died, must neither block the budget for ever nor be free: it is
// charged when its lease ends. Leases are counted by epoch, now / lease: one count for the present epoch and one for the
// former, so a hold lasts one to two leases and a budget takes the same few bytes whatever it holds.
type Holds struct {
	TAT     time.Duration
	Epoch   int64
	Present int // holds made in Epoch
	Former  int // holds made in Epoch − 1
}

// Advance charges the holds whose lease has ended. A TAT that only a clock that went back can explain is brought back to an empty
// budget; a Store whose clock can do that keeps what Advance has done also when it refuses, or the refusals last until the clock
// has caught up.
func (h *Holds) Advance(l Limit, lease, now time.Duration) {
	h.TAT = min(h.TAT, now+l.Span())
	epoch := int64(now / lease)
	switch {
	case epoch <= h.Epoch: // the same, or a clock that went back: its holds keep their lease
	case epoch == h.Epoch+1:
		h.charge(l, time.Duration(epoch)*lease, h.Former)
		h.Former, h.Present, h.Epoch = h.Present, 0, epoch
	default:
		// At the moment when the lease ended, not now: a store that refuses a guess need not keep what it advanced, and
		// who asks later must find the same.
		h.charge(l, time.Duration(h.Epoch+1)*lease, h.Former)
		h.charge(l, time.Duration(h.Epoch+2)*lease, h.Present)
		h.Former, h.Present, h.Epoch = 0, 0, epoch
	}
}

func (h *Holds) charge(l Limit, at time.Duration, n int) {
	if n > 0 {
		h.TAT = l.Charge(h.TAT, at, n)
	}
}

// Open is how many guesses are on their way.
func (h *Holds) Open() int { return h.Present + h.Former }

// Left is how many guesses the settled ones have left.
func (h *Holds) Left(l Limit, now time.Duration) int { return l.Left(h.TAT, now) }

// Free is how many guesses can be held now.
func (h *Holds) Free(l Limit, now time.Duration) int { return max(0, h.Left(l, now)-h.Open()) }

// Hold holds one guess and returns the epoch that [Holds.Settle] asks for. The caller has asked Free.
func (h *Holds) Hold() (epoch int64) {
	h.Present++
	return h.Epoch
}

// Settle ends a hold made in that epoch: wrong charges it, and otherwise it is given back, also when its lease had
// ended and it was charged meanwhile.
func (h *Holds) Settle(l Limit, now time.Duration, epoch int64, wrong bool) {
	held := true
	switch {
	case epoch == h.Epoch && h.Present > 0:
		h.Present--
	case epoch == h.Epoch-1 && h.Former > 0:
		h.Former--
	default:
		held = false
	}
	switch {
	case wrong && held:
		h.TAT = l.Charge(h.TAT, now, 1)
	case !wrong && !held:
		h.TAT = l.Refund(h.TAT, now, 1)
	}
}
