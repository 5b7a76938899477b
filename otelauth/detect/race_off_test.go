// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package detect_test

// raceEnabled says that the race detector is on.
const raceEnabled = false
