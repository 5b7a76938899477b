// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package htpasswd

// The race detector allocates by itself.
const raceEnabled = false
