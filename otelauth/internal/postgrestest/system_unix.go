// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package postgrestest

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// unprivileged returns the user nobody, and makes it the owner of dir.
func unprivileged(t testing.TB, dir string) *syscall.SysProcAttr {
	t.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	if errUID != nil || errGID != nil {
		t.Fatalf("the user nobody has the ids %q and %q", u.Uid, u.Gid)
	}
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		t.Fatal(err)
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// Freeze suspends the server and every process that serves a connection, like a hung disk. The
// server accepts connections and does not answer.
func (s *Server) Freeze(t testing.TB) {
	t.Helper()
	s.signal(syscall.SIGSTOP)
	deadline := time.Now().Add(time.Minute)
	for !s.isFrozen() {
		if time.Now().After(deadline) {
			t.Fatal("PostgreSQL is not suspended within a minute")
		}
		s.signal(syscall.SIGSTOP) // the server may have started another process
		<-time.After(time.Millisecond)
	}
}

// Thaw ends Freeze.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

// signal sends a signal to all processes.
func (s *Server) signal(sig syscall.Signal) {
	for _, p := range s.processes() {
		_ = syscall.Kill(p.pid, sig)
	}
}
