// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package testkit

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Freeze suspends the process, like a hung disk: connections stay open and get no answer.
func (p *Process) Freeze(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGSTOP)
}

// Thaw ends Freeze.
func (p *Process) Thaw(t testing.TB) {
	t.Helper()
	p.Signal(t, syscall.SIGCONT)
}

// terminate asks a process to end, also one that is suspended.
func terminate(p *os.Process) {
	_ = p.Signal(syscall.SIGTERM)
	_ = p.Signal(syscall.SIGCONT)
}

// CPUTime returns the CPU time of this process, user and system.
func CPUTime(t testing.TB) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Group makes a command the leader of a process group, and makes its cancellation end the group.
func Group(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// As makes a command run as the user and group with this number. It needs root.
func As(number uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: number, Gid: number}}
}
