// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build race

package testkit

// Race reports whether the race detector is on. It makes sync.Pool drop objects at random, so
// allocations cannot be asserted, and it slows everything down.
const Race = true
