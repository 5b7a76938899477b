// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import "testing"

// OnlyLong skips the test unless tests run at full length. Call it where the behaviour has a
// shorter test too, or where a real server has to wait; a test that only repeats takes fewer
// repeats instead.
func OnlyLong(t testing.TB) {
	t.Helper()
	if !Long {
		t.Skip("a long test: go test -tags long")
	}
}

// Repeats returns how often a test repeats something: short, or long if tests run at full length.
func Repeats(short, long int) int {
	if Long {
		return long
	}
	return short
}
