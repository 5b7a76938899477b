// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package postgrestest

import (
	"syscall"
	"testing"
)

// unprivileged returns nil: no user on Windows has the number of root.
func unprivileged(testing.TB, string) *syscall.SysProcAttr { return nil }

// Freeze fails the test: Windows has no call that suspends a process.
func (s *Server) Freeze(t testing.TB) {
	t.Helper()
	t.Fatal("postgrestest: a process cannot be suspended on Windows; run this test on Linux or macOS")
}

// Thaw does nothing.
func (s *Server) Thaw() {}
