// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package flood

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/otelauth/otelauth-go/examples/compare/measure"
	"github.com/otelauth/otelauth-go/examples/compare/peers"
)

// Stats are a server's own figures since its start.
type Stats struct {
	// CPU is the time of the whole process, user and system.
	CPU time.Duration
	// Hashes and RightHashes are the runs of the hash function, all and with the right password.
	// -1 when unknown.
	Hashes, RightHashes int64
}

// serve is the server process. It prints its address, then one line of [Stats] for every line of
// its input. It ends when its input ends, which also happens when its parent process dies.
func serve(peerName, usersFile string, stdin io.Reader, stdout io.Writer) error {
	p, err := peers.ByName(peerName)
	if err != nil {
		return err
	}
	f, err := os.Open(usersFile)
	if err != nil {
		return fmt.Errorf("flood: accounts: %w", err)
	}
	users, err := peers.ReadUsers(f)
	_ = f.Close()
	if err != nil {
		return err
	}
	s, err := p.New(users, http.HandlerFunc(protected))
	if err != nil {
		return err
	}
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("flood: %w", err)
	}
	server := &http.Server{
		Handler:           s.Handler,
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // attackers that hang up are expected
	}
	defer server.Close()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	if _, err := fmt.Fprintln(stdout, l.Addr()); err != nil {
		return fmt.Errorf("flood: %w", err)
	}
	asked := make(chan bool)
	go func() {
		defer close(asked)
		for in := bufio.NewScanner(stdin); in.Scan(); {
			asked <- true
		}
	}()
	for {
		select {
		case err := <-failed:
			return fmt.Errorf("flood: server: %w", err)
		case more := <-asked:
			if !more {
				return nil
			}
			if err := json.NewEncoder(stdout).Encode(statsOf(s)); err != nil {
				return fmt.Errorf("flood: %w", err)
			}
		}
	}
}

// protected is the handler behind every peer.
func protected(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello\n") }

func statsOf(s *peers.Service) Stats {
	st := Stats{CPU: measure.ProcessCPU(), Hashes: -1, RightHashes: -1}
	if s.Counts != nil {
		st.Hashes, st.RightHashes = s.Counts.All.Load(), s.Counts.Right.Load()
	}
	return st
}
