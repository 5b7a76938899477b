// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build race

package simulate_test

// raceEnabled: the race detector makes weeks of traffic too slow.
const raceEnabled = true
