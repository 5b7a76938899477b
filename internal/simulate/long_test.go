//go:build full

// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate_test

// The long runs, of .ci/full simulate.
var (
	detectedSeeds = []uint64{1, 2, 3}
	reachSeeds    = []uint64{4, 5, 6, 7}
	honestSeeds   = []uint64{8, 9}
	speeds        = []float64{10, 1, 0.1}
)

const (
	everyRound    = true
	attackedUsers = 500
	honestUsers   = 1500
	honestDays    = 30
	// The reach of the default budgets.
	throttledUsers = 10_000
	throttledDays  = 30
)
