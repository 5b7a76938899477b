// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// Budgets returns a Scenario.Throttle with the budgets b, like a service with that
// throttle.Config. Zero fields mean their defaults. The returned function fails if b contradicts
// itself.
func Budgets(b throttle.Limits) func(now func() time.Time) (throttle.Throttle, error) {
	return func(now func() time.Time) (throttle.Throttle, error) {
		start := now()
		return throttle.New(throttle.Config{
			Limits: b,
			// A constant key makes a run repeatable; no attacker of the simulation aims at a
			// bucket.
			Key:     make([]byte, 32),
			Elapsed: func() time.Duration { return now().Sub(start) },
			Now:     now,
		})
	}
}
