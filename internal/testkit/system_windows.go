// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Freeze fails the test: Windows has no call that suspends a process.
func (p *Process) Freeze(t testing.TB) {
	t.Helper()
	t.Fatal("testkit: a process cannot be suspended on Windows; run this test on Linux or macOS")
}

// Thaw does nothing.
func (p *Process) Thaw(testing.TB) {}

// terminate ends a process. Windows cannot ask it to end.
func terminate(p *os.Process) { _ = p.Kill() }

// CPUTime returns the CPU time of this process, user and system.
func CPUTime(t testing.TB) time.Duration {
	t.Helper()
	var created, exited, kernel, user syscall.Filetime
	self, err := syscall.GetCurrentProcess()
	if err == nil {
		err = syscall.GetProcessTimes(self, &created, &exited, &kernel, &user)
	}
	if err != nil {
		t.Fatal(err)
	}
	hundreds := func(f syscall.Filetime) int64 { return int64(f.HighDateTime)<<32 | int64(f.LowDateTime) }
	return time.Duration(hundreds(kernel)+hundreds(user)) * 100
}

// Group does nothing: the cancellation of a command ends its process only.
func Group(*exec.Cmd) {}

// As returns nil: Windows has no such numbers, and no user there has that of root.
func As(uint32) *syscall.SysProcAttr { return nil }
