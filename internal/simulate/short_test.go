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
	attackedUsers  = 150
	honestUsers    = 400
	honestDays     = 14
	throttledUsers = 1500
	throttledDays  = 7
)
