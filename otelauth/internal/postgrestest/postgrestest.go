// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package postgrestest starts PostgreSQL servers for the tests of what talks to PostgreSQL: real ones, on a unix socket in a
// directory of their own, which can be stopped dead, frozen and started again, and end with the test.
package postgrestest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Server is a PostgreSQL server of the test's own. It trusts everybody who can reach its socket.
type Server struct {
	bin, dir string
	as       *syscall.Credential // nil: the test's own user
	cmd      *exec.Cmd
	log      bytes.Buffer
	created  atomic.Int64
}

// Start makes a cluster and starts its server. Without PostgreSQL the test is skipped.
func Start(t testing.TB) *Server {
	t.Helper()
	bin := binaries()
	if bin == "" {
		t.Skip("no PostgreSQL: apt-get install postgresql")
	}
	dir, err := os.MkdirTemp("/tmp", "otelauth-pg") //nolint:usetesting // the path of a unix socket has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{bin: bin, dir: dir}
	if os.Getuid() == 0 { // for whom PostgreSQL refuses to start
		s.as = nobody(t)
		if err := os.Chown(dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	initdb := s.command(t, "initdb", "--pgdata", s.data(), "--username", "postgres", "--auth", "trust", "--no-sync",
		"--encoding", "UTF8", "--locale", "C")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.Restart(t)
	t.Cleanup(s.Kill)
	return s
}

func binaries() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // Debian, where they are in no PATH
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

func nobody(t testing.TB) *syscall.Credential {
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
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command does not end with the test's context: the server must outlive it for the cleanups of whoever still asks.
func (s *Server) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(s.bin, name), args...) //nolint:gosec // G204: the test's own arguments
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return c
}

// Restart starts the server again, after Kill, and waits until it answers.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.cmd = s.command(t, "postgres", "-D", s.data(), "-c", "listen_addresses=", "-c", "unix_socket_directories="+s.dir,
		"-c", "fsync=off", "-c", "shared_buffers=16MB", "-c", "max_connections=64")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	db := s.open(t, "postgres")
	deadline := time.Now().Add(60 * time.Second)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := db.PingContext(ctx)
		cancel()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			s.Kill()
			t.Fatalf("PostgreSQL does not answer: %v\n%s", err, s.log.Bytes())
		}
		<-time.After(20 * time.Millisecond)
	}
	_ = db.Close()
}

// Kill ends the server at once, its connections dropped and nothing written back.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	s.Thaw()
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // PostgreSQL's immediate shutdown
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Freeze stops the server and every process that serves a connection, as a hung disk does: it accepts, and answers nothing.
func (s *Server) Freeze(t testing.TB) {
	t.Helper()
	s.all(syscall.SIGSTOP)
	deadline := time.Now().Add(time.Minute)
	for !s.stopped() {
		if time.Now().After(deadline) {
			t.Fatal("PostgreSQL does not stop within a minute")
		}
		s.all(syscall.SIGSTOP) // the server may have begun another process
		<-time.After(time.Millisecond)
	}
}

// Thaw ends Freeze.
func (s *Server) Thaw() { s.all(syscall.SIGCONT) }

// process is the server or a child of it.
type process struct {
	pid   int
	state string
}

// processes returns the server and its children, which are in sessions of their own.
func (s *Server) processes() (all []process) {
	if s.cmd == nil {
		return nil
	}
	parent := strconv.Itoa(s.cmd.Process.Pid)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it ended
		}
		// pid (comm) state ppid …: the name may hold anything but ends at the last parenthesis.
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		pid := filepath.Base(filepath.Dir(path))
		if len(fields) < 2 || fields[1] != parent && pid != parent {
			continue
		}
		if n, err := strconv.Atoi(pid); err == nil {
			all = append(all, process{n, fields[0]})
		}
	}
	return all
}

func (s *Server) all(sig syscall.Signal) {
	for _, p := range s.processes() {
		_ = syscall.Kill(p.pid, sig)
	}
}

func (s *Server) stopped() bool {
	all := s.processes()
	for _, p := range all {
		if p.state != "T" && p.state != "Z" {
			return false
		}
	}
	return len(all) > 0
}

// DSN is the data source name of a database, for pgx.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("host=%s user=postgres dbname=%s sslmode=disable", s.dir, database)
}

// Database makes an empty database and returns its name and a pool for it that is closed with the test.
func (s *Server) Database(t testing.TB) (name string, db *sql.DB) {
	t.Helper()
	admin := s.open(t, "postgres")
	defer func() { _ = admin.Close() }()
	name = "test" + strconv.FormatInt(s.created.Add(1), 10)
	if _, err := admin.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	db = s.open(t, name)
	t.Cleanup(func() { _ = db.Close() })
	return name, db
}

func (s *Server) open(t testing.TB, database string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", s.DSN(database))
	if err != nil {
		t.Fatal(err)
	}
	return db
}
