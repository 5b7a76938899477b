// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package filelog

import (
	"fmt"
	"io"
	"os"
	"testing"
)

// childEnv set to 1 makes the test binary the collector.
const childEnv = "OTELAUTH_FILELOG_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "1" {
		os.Exit(m.Run())
	}
	go func() {
		// The parent has the other end, so the collector does not outlive it.
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(3)
	}()
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
