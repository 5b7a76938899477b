//go:build !full

// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate_test

// The short runs: one seed each. The long ones are in long_test.go.
var (
	detectedSeeds = []uint64{1}
	reachSeeds    = []uint64{4}
	honestSeeds   = []uint64{8}
	speeds        = []float64{1, 0.1}
)

const (
	everyRound     = false
	attackedUsers  = 150 // fewer have no victim for every attack
	honestUsers    = 400
	honestDays     = 7
	throttledUsers = 1000
	throttledDays  = 4
)
