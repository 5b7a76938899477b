// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/simulate"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// noRules returns every rule, for Scenario.Off, so that only the budgets act.
func noRules() (off []string) {
	for _, r := range detect.Rules() {
		off = append(off, r.Name)
	}
	return off
}

// TestHonestPeopleAreNotKeptOut: the default budgets keep out no honest user. The full test plays
// 10,000 users for 30 days.
func TestHonestPeopleAreNotKeptOut(t *testing.T) {
	t.Parallel()
	s := simulate.Scenario{
		Seed: 13, Users: throttledUsers, Days: throttledDays, Off: noRules(), Throttle: simulate.Budgets(throttle.Limits{}),
	}
	if r := run(t, s); r.KeptOut != 0 || r.KeptOutUsers != 0 || r.Guesses == 0 {
		t.Errorf("%d users kept out, %d times, by %d wrong guesses", r.KeptOutUsers, r.KeptOut, r.Guesses)
	}
}

// TestSharedAddressesAreShared: a budget that suffices for one user does not suffice for an
// office.
func TestSharedAddressesAreShared(t *testing.T) {
	t.Parallel()
	one := throttle.Limit{Burst: 4, Every: 24 * time.Hour}
	keptOut := func(shared int) int {
		r := run(t, simulate.Scenario{
			Seed: 14, Users: 800, Days: 3, SharedPercent: shared, Off: noRules(),
			Throttle: simulate.Budgets(throttle.Limits{NewPair: one, Network: one}),
		})
		return r.KeptOutUsers
	}
	if alone, together := keptOut(-1), keptOut(100); together < 5*alone || together == 0 {
		t.Errorf("%d users kept out with shared addresses, %d without", together, alone)
	}
}

func TestBudgetsThatContradictThemselves(t *testing.T) {
	t.Parallel()
	s := simulate.Scenario{Users: 10, Days: 1, Throttle: simulate.Budgets(throttle.Limits{Account: throttle.Limit{Burst: -1}})}
	if _, err := simulate.Run(t.Context(), s); err == nil {
		t.Error("Run accepts a negative budget")
	}
}

func ExampleBudgets() {
	report, err := simulate.Run(context.Background(), simulate.Scenario{
		Seed: 1, Users: 100, Days: 3,
		// The limits of PCI DSS: how many of 100 users do they keep out at least once?
		Throttle: simulate.Budgets(throttle.Limits{
			NewPair:   throttle.Limit{Burst: 5, Every: time.Hour},
			KnownPair: throttle.Limit{Burst: 5, Every: time.Hour},
			Account:   throttle.Limit{Burst: 10, Every: 30 * time.Minute},
		}),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(report.KeptOutUsers)
	// Output: 4
}
