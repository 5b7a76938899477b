// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build race

package clientip_test

// The race detector allocates by itself.
const raceEnabled = true
