// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package postgrestest starts real PostgreSQL servers for tests. A server listens on a unix
// socket in a directory of its own.
//
// Most tests need a database only and take it from the [Shared] server of the test binary. A test
// that stops or freezes its server takes one of its own from [Start].
package postgrestest

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
)

// Server is a PostgreSQL server. It accepts every client that can reach its socket.
type Server struct {
	bin, dir string
	as       *syscall.SysProcAttr // nil for the user of the test
	cmd      *exec.Cmd
	log      bytes.Buffer
	created  atomic.Int64
}

// Start starts a server that ends with the test. It skips the test if PostgreSQL is not installed.
func Start(t testing.TB) *Server {
	t.Helper()
	s := newServer(t)
	t.Cleanup(s.remove)
	if from := template(t); from != "" {
		s.copyCluster(t, from)
	} else {
		s.initCluster(t)
	}
	s.Restart(t)
	return s
}

// newServer returns a server without data. The caller calls remove.
func newServer(t testing.TB) *Server {
	t.Helper()
	bin := binaries()
	if bin == "" {
		t.Skip("no PostgreSQL: apt-get install postgresql")
	}
	// The path of a unix socket has 107 bytes at most, which t.TempDir may exceed.
	dir, err := os.MkdirTemp("/tmp", "otelauth-pg") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{bin: bin, dir: dir}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		s.as = unprivileged(t, dir)
	}
	return s
}

// remove stops the server and deletes its directory.
func (s *Server) remove() {
	s.Kill()
	_ = os.RemoveAll(s.dir)
}

// initCluster creates the data directory with initdb.
func (s *Server) initCluster(t testing.TB) {
	t.Helper()
	s.run(t, filepath.Join(s.bin, "initdb"), "--pgdata", s.data(), "--username", "postgres", "--auth", "trust", "--no-sync",
		"--encoding", "UTF8", "--locale", "C")
}

// copyCluster creates the data directory from another one, which is faster than initdb.
func (s *Server) copyCluster(t testing.TB, from string) {
	t.Helper()
	s.run(t, "cp", "-a", from, s.data())
}

// run runs a command to its end.
func (s *Server) run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := s.command(t, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// binaries returns the directory of PostgreSQL's programs, or "".
func binaries() string {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path)
		}
	}
	// Debian, which does not add them to PATH.
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

// data returns the data directory.
func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// command returns a command that does not end with the test's context, because cleanups of the test
// may still use the server.
func (s *Server) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...) //nolint:gosec // G204: the test's own arguments
	c.Dir = s.dir
	c.SysProcAttr = s.as
	return c
}

// Restart starts the server after Kill and waits until it answers.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.cmd = s.command(t, filepath.Join(s.bin, "postgres"), "-D", s.data(), "-c", "listen_addresses=", "-c", "unix_socket_directories="+s.dir,
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "autovacuum=off",
		"-c", "shared_buffers=16MB", "-c", "max_connections=300")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	db := open(t, s.DSN("postgres"))
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

// Kill ends the server at once. It drops all connections and writes nothing back.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	s.Thaw()
	_ = s.cmd.Process.Signal(syscall.SIGQUIT) // PostgreSQL's immediate shutdown
	_ = s.cmd.Wait()
	s.cmd = nil
}

// process is the server or one of its children.
type process struct {
	pid   int
	state string
}

// processes returns the server and its children. They are in different sessions, so a signal to the
// process group would not reach them.
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
		// The line is: pid (comm) state ppid … comm may contain anything, but ends at the last
		// parenthesis.
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

// isFrozen reports whether all processes are suspended.
func (s *Server) isFrozen() bool {
	all := s.processes()
	for _, p := range all {
		if p.state != "T" && p.state != "Z" {
			return false
		}
	}
	return len(all) > 0
}

// DSN returns the data source name of a database, for pgx.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("host=%s user=postgres dbname=%s sslmode=disable", s.dir, database)
}

// Database creates an empty database. It returns its name and a pool, which is closed with the
// test. It takes half a second on a busy machine; most tests need a [Server.Schema] only.
func (s *Server) Database(t testing.TB) (name string, db *sql.DB) {
	t.Helper()
	return s.create(t, "DATABASE", s.DSN)
}

// Schema creates an empty schema, which is the search path of the pool and of
// [Server.SchemaDSN]. Its name is also the application_name of their connections. The pool is
// closed with the test.
func (s *Server) Schema(t testing.TB) (name string, db *sql.DB) {
	t.Helper()
	return s.create(t, "SCHEMA", s.SchemaDSN)
}

// SchemaDSN returns the data source name of a schema, for pgx.
func (s *Server) SchemaDSN(schema string) string {
	return s.DSN("postgres") + " search_path=" + schema + " application_name=" + schema
}

// create creates a database or schema and opens a pool for it.
func (s *Server) create(t testing.TB, kind string, dsn func(name string) string) (name string, db *sql.DB) {
	t.Helper()
	admin := open(t, s.DSN("postgres"))
	defer func() { _ = admin.Close() }()
	name = "test" + strconv.FormatInt(s.created.Add(1), 10)
	if _, err := admin.ExecContext(t.Context(), "CREATE "+kind+" "+name); err != nil {
		t.Fatal(err)
	}
	db = open(t, dsn(name))
	t.Cleanup(func() { _ = db.Close() })
	return name, db
}

// open returns a pool for a data source.
func open(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	return db
}
