// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package peers

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"sync/atomic"
)

// Peer is one way to verify HTTP Basic Auth.
type Peer struct {
	// Name is the name in the command lines.
	Name string
	// Title is the name in the tables.
	Title string
	// Module is the import path of the peer's module; "" for the standard library.
	Module string
	// Hashed reports whether it verifies password hashes. The others compare plaintext, or
	// nothing.
	Hashed bool
	// Open reports whether it accepts all requests, as the lower bound.
	Open bool
	// New prepares the peer for the accounts. At least one is required. next is the protected
	// handler.
	New func(users []User, next http.Handler) (*Service, error)
}

// Version returns the module's version in this build, or "" when it is unknown, as in tests.
func (p Peer) Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || p.Module == "" {
		return ""
	}
	for _, d := range info.Deps {
		if d.Path == p.Module {
			return d.Version
		}
	}
	return ""
}

// Service is a peer with accounts. Handler and Verify are safe for concurrent use.
type Service struct {
	// Handler verifies and calls the protected handler.
	Handler http.Handler
	// Verify only verifies. It is nil when the peer has no entry point for that.
	Verify func(*http.Request) bool
	// Counts are those of the peer's hash function; nil when they cannot be seen from outside.
	Counts *Counts
	// Prepare returns r as the peer's own server would pass it to Handler. nil: no preparation is
	// needed.
	Prepare func(*http.Request) *http.Request
	close   func() error
}

// Close ends the background work of the service and removes its files.
func (s *Service) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// Request returns r as Handler expects it.
func (s *Service) Request(r *http.Request) *http.Request {
	if s.Prepare == nil {
		return r
	}
	return s.Prepare(r)
}

// Counts counts runs of a hash function. The zero value is ready; it is safe for concurrent use.
type Counts struct {
	// All counts every run.
	All atomic.Int64
	// Right counts the runs with the right password. A cached client adds none.
	Right atomic.Int64
}

// Add counts one run.
func (c *Counts) Add(right bool) {
	c.All.Add(1)
	if right {
		c.Right.Add(1)
	}
}

// All returns every peer: the lower bounds first, then otelauth, then the others by name.
func All() []Peer {
	return []Peer{
		noAuth, bare, ours, oursRecorded,
		caddyPeer, chiPeer, echoPeer, exporterToolkit, ginPeer, goHTPasswd, goHTTPAuth,
	}
}

// ByName returns the peer of that name. The error for an unknown name lists all names.
func ByName(name string) (Peer, error) {
	names := make([]string, 0, len(All()))
	for _, p := range All() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Peer{}, fmt.Errorf("peers: %q is not a peer; choose one of %v", name, names)
}
