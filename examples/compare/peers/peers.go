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
	// Name is what the command lines call it.
	Name string
	// Title is what the tables call it.
	Title string
	// Module is the import path of the module that it comes from; "" for the standard library.
	Module string
	// Hashed says that it verifies password hashes. The others compare plaintext, or nothing.
	Hashed bool
	// Open says that it lets everybody in: the floor.
	Open bool
	// New makes it ready for the accounts, of which there must be one at least. next is
	// the protected handler.
	New func(users []User, next http.Handler) (*Service, error)
}

// Version is the module's version in this build, "" when it is not known, as in tests.
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
	// Verify only verifies; nil when the peer has no entry point for that alone.
	Verify func(*http.Request) bool
	// Counts is what the peer's hash function did; nil when it cannot be seen from outside.
	Counts *Counts
	// Prepare returns r as the peer's own server would hand it to Handler; nil when it needs
	// nothing.
	Prepare func(*http.Request) *http.Request
	close   func() error
}

// Close ends what the service runs in the background and removes its files.
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

// Counts is how often a hash function ran. The zero value is ready; it is safe for concurrent use.
type Counts struct {
	// All is every run.
	All atomic.Int64
	// Right is the runs with the right password: a client that is cached adds none.
	Right atomic.Int64
}

// Add counts one run.
func (c *Counts) Add(right bool) {
	c.All.Add(1)
	if right {
		c.Right.Add(1)
	}
}

// All returns every peer, the floors first, ours next, then by name.
func All() []Peer {
	return []Peer{
		noAuth, bare, ours, oursTold,
		caddyPeer, chiPeer, echoPeer, exporterToolkit, ginPeer, goHTPasswd, goHTTPAuth,
	}
}

// ByName returns the peer of that name; the error of an unknown one lists those there are.
func ByName(name string) (Peer, error) {
	names := make([]string, 0, len(All()))
	for _, p := range All() {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Peer{}, fmt.Errorf("peers: no peer %q; choose of %v", name, names)
}
