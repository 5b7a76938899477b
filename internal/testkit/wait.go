// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"testing"
	"time"
)

// Patience is how long [Eventually] waits: long enough for a machine under load.
const Patience = time.Minute

// Eventually waits until ok returns true, and fails the test when it does not within [Patience].
// what says what is awaited.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, Patience)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// Receive returns the next value of c, and fails the test when none arrives within [Patience].
func Receive[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	limit := time.NewTimer(Patience)
	defer limit.Stop()
	select {
	case v := <-c:
		return v
	case <-limit.C:
		t.Fatalf("%s: not within %v", what, Patience)
	}
	var none T
	return none
}
