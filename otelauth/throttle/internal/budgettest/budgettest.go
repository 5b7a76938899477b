// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package budgettest is the conformance suite for stores of guess budgets: every [budget.Store]
// passes [Run]. It uses only the interface.
package budgettest

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// Harness is a store under test.
type Harness struct {
	// Store is empty.
	Store budget.Store
	// Peer returns another handle on the same budgets, as another process would have. nil: the
	// store cannot be shared.
	Peer func(t *testing.T) budget.Store
	// Advance advances the time of the store and its peers.
	Advance func(time.Duration)
	// JumpWall changes the wall clock while no time passes. nil: the store reads no wall clock.
	JumpWall func(time.Duration)
}

// Run runs the suite. open creates an empty store for each test; the tests run in parallel.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, Harness)
	}{
		{"wrong guesses empty a budget and time fills it", wrongGuesses},
		{"a refusal names the budget and the longest wait", namesTheBudget},
		{"a budget that guesses on their way hold is not empty", heldIsNotEmpty},
		{"a right guess gets its price back", refunds},
		{"nothing is held unless all is granted", allOrNothing},
		{"a known pair has a budget of its own", knownPair},
		{"a pair is known for so long", knownForSoLong},
		{"a success clears its own pair and no other budget", clearsItsPair},
		{"a pair that becomes known with guesses on their way", knownMeanwhile},
		{"a check holds nothing and sees the settled only", checks},
		{"a taken guess is charged at once", takes},
		{"a hold that is never settled is charged in the end", leases},
		{"a right guess after its lease gets its price back", lateRefund},
		{"an operator clears and forgets", clears},
		{"looking changes nothing", looks},
		{"a wall clock that jumps changes no budget", jumps},
		{"the longest and the shortest limits", extremes},
		{"concurrent guesses are counted exactly", concurrent},
		{"of 100 guesses at once on a budget of 5, 5 reach the hash", storm},
		{"budgets are counted", counts},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// Key returns the key of the budget with this name, distributed like the keyed hashes that stores
// receive.
func Key(name string) budget.Key {
	sum := sha256.Sum256([]byte(name))
	return budget.Key(sum[:len(budget.Key{})])
}

// Bill returns the bill of one guess at an account from a network of a site. A new pair has 5
// guesses, a known pair 8, an account 10, a network 12, a site 20. One more comes back each
// minute, two in a site. A pair is known for a day; the lease is a minute.
func Bill(account, network, site string) budget.Bill {
	b := budget.Bill{
		KnownPair: budget.Limit{Burst: 8, Every: time.Minute}, Remember: 24 * time.Hour, Lease: time.Minute,
	}
	b.Charges[budget.Pair] = budget.Charge{Key: Key("pair " + account + " " + network), Limit: budget.Limit{Burst: 5, Every: time.Minute}}
	b.Charges[budget.Account] = budget.Charge{Key: Key("account " + account), Limit: budget.Limit{Burst: 10, Every: time.Minute}}
	b.Charges[budget.Network] = budget.Charge{Key: Key("network " + network), Limit: budget.Limit{Burst: 12, Every: time.Minute}}
	b.Charges[budget.Site] = budget.Charge{Key: Key("site " + site), Limit: budget.Limit{Burst: 20, Every: 30 * time.Second}}
	return b
}
