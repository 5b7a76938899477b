// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build race

package detect_test

// raceEnabled: the race detector makes sync.Pool drop at random, so allocations cannot be asserted.
const raceEnabled = true
