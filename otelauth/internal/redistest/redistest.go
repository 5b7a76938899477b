// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package redistest starts redis-servers for the tests of what talks to Redis: real ones, on
// loopback, which can be killed, frozen and started again, and end with the test.
package redistest

import (
	"context"
	"io"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// Server is a redis-server of the test's own.
type Server struct {
	Addr    string // host and port
	args    []string
	process *testkit.Process
}

// Start starts a server with these further arguments. Without redis-server or valkey-server the
// test is skipped.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	path := ""
	for _, name := range []string{"redis-server", "valkey-server"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no redis-server: apt-get install redis-server")
	}
	port := freePort(t)
	s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	s.args = append([]string{
		path, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", t.TempDir(), "--daemonize", "no", "--loglevel", "warning",
	}, args...)
	s.Restart(t)
	t.Cleanup(s.Kill)
	return s
}

// Restart starts the server again, after Kill, and waits until it answers.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	// Not the test's own context: cleanups, which run after its end, still ask the server.
	s.process = testkit.Start(t, exec.CommandContext(context.WithoutCancel(t.Context()), s.args[0], s.args[1:]...)) //nolint:gosec // G204: the test's own arguments
	s.process.Await(t, "an answer of redis-server on "+s.Addr, s.Answers)
}

// Answers reports whether the server answers a PING within a second.
func (s *Server) Answers() bool {
	dialer := net.Dialer{Timeout: time.Second}
	c, err := dialer.DialContext(context.Background(), "tcp", s.Addr)
	if err != nil {
		return false
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return false
	}
	var b [5]byte
	_, err = io.ReadFull(c, b[:])
	return err == nil && string(b[:]) == "+PONG"
}

// Kill ends the server at once, as a power cut does.
func (s *Server) Kill() { s.process.Kill() }

// Freeze suspends the server, like a hung disk.
func (s *Server) Freeze(t testing.TB) {
	t.Helper()
	s.process.Freeze(t)
}

// Thaw ends Freeze.
func (s *Server) Thaw(t testing.TB) {
	t.Helper()
	s.process.Thaw(t)
}

// Client returns a client of the test itself, with the library's defaults.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Addr})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// freePort returns one that is low enough for a cluster bus, which listens at port + 10000.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port, err := strconv.Atoi(testkit.FreePort(t))
		if err != nil {
			t.Fatal(err)
		}
		if port < 55000 {
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}
