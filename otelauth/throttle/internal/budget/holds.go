// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package budget

import "time"

// Holds is the state of one budget: the TAT of the settled guesses, and the number of guesses that
// are not settled yet. The zero Holds is a full budget. It is not safe for concurrent use.
//
// A guess that never settles, because its process died, must neither block the budget for ever nor
// be free. It is charged when its lease ends. Holds counts leases by epoch, which is now / lease,
// with one count for the current epoch and one for the previous. So a hold lasts one to two leases,
// and a budget has a fixed size.
type Holds struct {
	TAT      time.Duration
	Epoch    int64
	Current  int // holds made in Epoch
	Previous int // holds made in Epoch − 1
}

// Advance charges the holds whose lease has ended. It lowers a TAT beyond that of an empty budget,
// which only a clock that went back can cause. A store whose clock can go back keeps the result of
// Advance even if it refuses; otherwise it refuses until the clock has caught up.
func (h *Holds) Advance(l Limit, lease, now time.Duration) {
	h.TAT = min(h.TAT, now+l.Span())
	epoch := int64(now / lease)
	switch {
	case epoch <= h.Epoch: // unchanged, or the clock went back: holds keep their lease
	case epoch == h.Epoch+1:
		h.charge(l, time.Duration(epoch)*lease, h.Previous)
		h.Previous, h.Current, h.Epoch = h.Current, 0, epoch
	default:
		// Each hold is charged at the moment when its lease ended, not now. A store that refuses a
		// guess does not keep what Advance changed, and a later call must compute the same.
		h.charge(l, time.Duration(h.Epoch+1)*lease, h.Previous)
		h.charge(l, time.Duration(h.Epoch+2)*lease, h.Current)
		h.Previous, h.Current, h.Epoch = 0, 0, epoch
	}
}

func (h *Holds) charge(l Limit, at time.Duration, n int) {
	if n > 0 {
		h.TAT = l.Charge(h.TAT, at, n)
	}
}

// Open returns the number of guesses that are not settled yet.
func (h *Holds) Open() int { return h.Current + h.Previous }

// Left returns the number of guesses that the settled ones leave.
func (h *Holds) Left(l Limit, now time.Duration) int { return l.Left(h.TAT, now) }

// Free returns the number of guesses that can be held now.
func (h *Holds) Free(l Limit, now time.Duration) int { return max(0, h.Left(l, now)-h.Open()) }

// Hold holds one guess and returns the epoch to pass to [Holds.Settle]. The caller checks Free
// first.
func (h *Holds) Hold() (epoch int64) {
	h.Current++
	return h.Epoch
}

// Settle ends a hold made in epoch. If wrong, it charges the hold; otherwise it gives the guess
// back, even if its lease ended and it was charged in the meantime.
func (h *Holds) Settle(l Limit, now time.Duration, epoch int64, wrong bool) {
	held := true
	switch {
	case epoch == h.Epoch && h.Current > 0:
		h.Current--
	case epoch == h.Epoch-1 && h.Previous > 0:
		h.Previous--
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
