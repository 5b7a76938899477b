// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/detect/simulate"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// noRules leaves the budgets alone to look at.
func noRules() (off []string) {
	for _, r := range detect.Rules() {
		off = append(off, r.Name)
	}
	return off
}

// TestHonestPeopleAreNotKeptOut is the reach for the default budgets: 10,000 users for 30 days, a fifth of them behind shared
// addresses, a fleet with a stale secret, forgotten passwords and clients that keep an old one among them.
func TestHonestPeopleAreNotKeptOut(t *testing.T) {
	t.Parallel()
	s := simulate.Scenario{Seed: 13, Off: noRules(), Throttle: simulate.Budgets(throttle.Limits{})}
	if testkit.Race {
		s.Users, s.Days = 1500, 3
	}
	if r := run(t, s); r.KeptOut != 0 || r.KeptOutUsers != 0 || r.Guesses == 0 {
		t.Errorf("%d users kept out, %d times, by %d wrong guesses", r.KeptOutUsers, r.KeptOut, r.Guesses)
	}
}

// TestSharedAddressesAreShared: a budget that fits one person does not fit an office.
func TestSharedAddressesAreShared(t *testing.T) {
	t.Parallel()
	one := throttle.Limit{Burst: 4, Every: 24 * time.Hour}
	keptOut := func(shared int) int {
		r := run(t, simulate.Scenario{
			Seed: 14, Users: 1500, Days: 3, SharedPercent: shared, Off: noRules(),
			Throttle: simulate.Budgets(throttle.Limits{NewPair: one, Network: one}),
		})
		return r.KeptOutUsers
	}
	if alone, together := keptOut(-1), keptOut(100); together < 5*alone || together == 0 {
		t.Errorf("%d users kept out who share an address, %d who do not", together, alone)
	}
}

func TestBudgetsThatContradictThemselves(t *testing.T) {
	t.Parallel()
	s := simulate.Scenario{Users: 10, Days: 1, Throttle: simulate.Budgets(throttle.Limits{Account: throttle.Limit{Burst: -1}})}
	if _, err := simulate.Run(t.Context(), s); err == nil {
		t.Error("a negative budget makes sense")
	}
}

func ExampleBudgets() {
	report, err := simulate.Run(context.Background(), simulate.Scenario{
		Seed: 1, Users: 100, Days: 3,
		// What PCI DSS asks for: how many of 100 users does it keep out at least once?
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
