// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package collectortest

import (
	"fmt"
	"io"
	"os"
	"testing"
)

// childEnv set to 1 makes a test binary the collector.
const childEnv = "OTELAUTH_COLLECTORTEST_CHILD"

// Main is for TestMain of every package whose tests start a collector. It runs the tests, or the
// collector in a process that [Start] has started. It does not return.
func Main(m *testing.M) {
	if os.Getenv(childEnv) == "1" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

func child() int {
	go func() {
		// The parent holds the other end: a collector must not outlive a test binary that was
		// killed.
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	if err := Command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
