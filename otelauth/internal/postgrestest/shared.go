// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package postgrestest

import (
	"sync"
	"testing"
)

// binary has the servers that all tests of the test binary share. Main deletes them.
var binary struct {
	hasMain bool

	mu      sync.Mutex
	cluster *Server // its data directory is a template; it never runs
	shared  *Server
}

// Main runs the tests of a package that uses [Shared], and then stops the shared server:
//
//	func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }
func Main(m *testing.M) int {
	binary.hasMain = true
	defer func() {
		for _, s := range []*Server{binary.shared, binary.cluster} {
			if s != nil {
				s.remove()
			}
		}
	}()
	return m.Run()
}

// Shared returns the server that all tests of the test binary share. Each test creates schemas or
// databases of its own in it, and must neither kill nor freeze it. Shared skips the test if
// PostgreSQL is not installed.
func Shared(t testing.TB) *Server {
	t.Helper()
	if !binary.hasMain {
		t.Fatal("postgrestest: Shared needs func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }")
	}
	from := template(t) // takes the lock too
	binary.mu.Lock()
	defer binary.mu.Unlock()
	if binary.shared == nil {
		s := newServer(t)
		binary.shared = s
		s.copyCluster(t, from)
		s.Restart(t)
	}
	return binary.shared
}

// template returns a data directory to copy, or "" without [Main], which would delete it.
func template(t testing.TB) string {
	t.Helper()
	if !binary.hasMain {
		return ""
	}
	binary.mu.Lock()
	defer binary.mu.Unlock()
	if binary.cluster == nil {
		s := newServer(t)
		binary.cluster = s
		s.initCluster(t)
	}
	return binary.cluster.data()
}
