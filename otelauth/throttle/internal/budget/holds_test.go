// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// TestLeaseIsChargedWhenItEnded: a store that refuses a guess does not keep what Advance changed.
// If holds were charged at the time of the call, three unsettled holds would refuse every guess
// for ever.
func TestLeaseIsChargedWhenItEnded(t *testing.T) {
	t.Parallel()
	l := budget.Limit{Burst: 3, Every: time.Minute}
	lost := budget.Holds{Epoch: 10, Current: 3}
	for minutes, want := range []int{0, 1, 2, 3, 3} {
		h := lost // as the store has kept it
		now := 12*time.Minute + time.Duration(minutes)*time.Minute
		h.Advance(l, time.Minute, now)
		if got := h.Left(l, now); got != want || h.Open() != 0 {
			t.Errorf("%d min after the lease: %d left, %d open; want %d, 0", minutes, got, h.Open(), want)
		}
	}
}
