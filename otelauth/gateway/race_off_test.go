// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package gateway_test

// raceEnabled reports that CPU time and allocations cannot be asserted.
const raceEnabled = false
