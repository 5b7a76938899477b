// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build race

package credential_test

// The race detector allocates by itself.
const raceEnabled = true
