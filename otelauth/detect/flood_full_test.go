// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package detect_test

import "testing"

// TestFullFlood: with 30 million hostile names and networks beside them, ten attacks that guess
// once in five minutes are found, in the stated memory.
func TestFullFlood(t *testing.T) {
	t.Logf("the heap grew by %d bytes", flood(t, 0, 30_000_000))
}

// TestFullAccounts: at the default size, more accounts than the tables hold cause no false
// detection of high severity.
func TestFullAccounts(t *testing.T) {
	for _, accounts := range []int{30_000, 60_000, 120_000} {
		t.Logf("%d accounts: %v", accounts, overfull(t, 0, accounts))
	}
}
