// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// Budgets returns a Scenario.Throttle that pays guesses from b, as a service with that throttle.Config does. The zero
// Budgets are the defaults. Its error says what of b contradicts itself.
func Budgets(b throttle.Limits) func(now func() time.Time) (throttle.Throttle, error) {
	return func(now func() time.Time) (throttle.Throttle, error) {
		start := now()
		return throttle.New(throttle.Config{
			Limits: b,
			// Nobody here aims at a bucket, and a key that is always the same makes a run the same.
			Key:     make([]byte, 32),
			Elapsed: func() time.Duration { return now().Sub(start) },
			Now:     now,
		})
	}
}
