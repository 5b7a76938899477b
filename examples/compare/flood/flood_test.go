// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package flood_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/examples/compare/flood"
	"github.com/otelauth/otelauth-go/examples/compare/peers"
)

// TestMain lets the test binary be the server and the attacker that a plan starts.
func TestMain(m *testing.M) {
	if flood.IsChild() {
		os.Exit(flood.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestCellsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"idle", "paced/1", "paced/64", "closed/64+first", "closed/1+first+unknown", "closed/2+mixed"} {
		c, err := flood.ParseCell(s)
		if err != nil || c.String() != s {
			t.Errorf("ParseCell(%q) = %v, %v", s, c, err)
		}
	}
	for _, s := range []string{"", "closed", "closed/0", "closed/251", "open/1", "paced/1+slow"} {
		if c, err := flood.ParseCell(s); err == nil {
			t.Errorf("ParseCell(%q) = %v, want an error", s, c)
		}
	}
}

// TestAttack checks the addresses and the number of the guesses, and that no guess repeats.
func TestAttack(t *testing.T) {
	t.Parallel()
	sources := []netip.Addr{netip.MustParseAddr("127.16.0.1"), netip.MustParseAddr("127.16.1.1")}
	seen := make(chan string, 100)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, pw, ok := r.BasicAuth()
		addr := netip.MustParseAddrPort(r.RemoteAddr).Addr()
		if !ok || addr != sources[0] && addr != sources[1] {
			t.Errorf("request from %v with credentials %t", addr, ok)
		}
		seen <- name + ":" + pw
		if pw == "guess-5" {
			w.Header().Set("Connection", "close")
		}
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(server.Close)
	report := flood.Attack{
		Target: server.Listener.Addr().String(), Conns: 4, Sources: sources,
		Known: []string{"alice", "bob"}, Names: flood.Mixed, Attempts: 20,
	}.Run(t.Context())
	close(seen)
	if report.Statuses[401] != 20 || report.Answered() != 20 || report.Errors != 0 {
		t.Errorf("report %+v, want 20 × 401", report)
	}
	distinct, unknown := make(map[string]bool), 0
	for s := range seen {
		distinct[s] = true
		if strings.HasPrefix(s, "nobody-") {
			unknown++
		}
	}
	if len(distinct) != 20 || unknown != 10 {
		t.Errorf("%d distinct guesses, %d of them at unknown names; want 20 and 10", len(distinct), unknown)
	}
}

// TestClientDoesNotWaitForAnswers checks that a stalled server cannot look fast. This server
// answers nothing before the fifth request, which a closed loop would never send.
func TestClientDoesNotWaitForAnswers(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	stall := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1) == 5 {
			close(stall) // the fifth request arrives although none was answered
		}
		<-stall
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(server.Close)
	users, err := peers.NewUsers(bcrypt.MinCost, "alice")
	if err != nil {
		t.Fatal(err)
	}
	report := flood.Client{
		Target: server.Listener.Addr().String(), Source: netip.MustParseAddr("127.200.0.1"),
		PerSecond: 50, User: func(int) peers.User { return users[0] },
	}.Run(t.Context(), 100*time.Millisecond)
	if report.OK != 5 || report.Success() != 1 {
		t.Fatalf("report %+v, want 5 answers", report)
	}
	// The first was due 80 ms before the fifth and waited for it.
	if slowest := report.Latencies.Quantile(1); slowest < 0.08 {
		t.Errorf("slowest request took %v s, want the 0.08 s that it was held up", slowest)
	}
}

func TestAFastFailureIsNoFastAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(server.Close)
	report := flood.Client{
		Target: server.Listener.Addr().String(), Source: netip.MustParseAddr("127.200.0.1"),
		PerSecond: 100, User: func(int) peers.User { return peers.User{Name: "alice"} },
	}.Run(t.Context(), 30*time.Millisecond)
	if got := report.Latencies.Quantile(0.5); report.OK != 0 || got != flood.Timeout.Seconds() {
		t.Errorf("OK %d, median %v s; want 0 and the timeout", report.OK, got)
	}
}

// TestOneSecondFlood runs the whole plan at a small scale, child processes included.
func TestOneSecondFlood(t *testing.T) {
	t.Parallel()
	p := flood.DefaultPlan()
	p.Duration, p.Settle, p.Conns, p.Cost = time.Second, 50*time.Millisecond, 4, bcrypt.MinCost
	p.Peers = nil
	for _, name := range []string{"noauth", "otelauth", "caddy", "go-htpasswd"} {
		peer, err := peers.ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		p.Peers = append(p.Peers, peer)
	}
	cell, err := flood.ParseCell("paced/2+first")
	if err != nil {
		t.Fatal(err)
	}
	p.Cells = []flood.Cell{cell}
	all, err := p.Run(t.Context(), func(flood.Observation) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(p.Peers) {
		t.Fatalf("%d observations, want %d", len(all), len(p.Peers))
	}
	for _, o := range all {
		if n := len(o.Right.Latencies); n != 50 || o.Right.OK != n {
			t.Errorf("%s: right client: %d of %d", o.Peer.Name, o.Right.OK, n)
		}
		if n := len(o.First.Latencies); n != 5 || o.First.OK != n {
			t.Errorf("%s: first logins: %d of %d", o.Peer.Name, o.First.OK, n)
		}
		if o.Attack.Answered() == 0 || o.CPU <= 0 {
			t.Errorf("%s: attack %+v, CPU %v", o.Peer.Name, o.Attack, o.CPU)
		}
		if o.Peer.Hashed && o.Attack.Statuses[http.StatusOK] != 0 {
			t.Errorf("%s: a wrong password was accepted", o.Peer.Name)
		}
		// Otelauth and Caddy recognise the right client; the other peer hashes it 50 times.
		if want := o.Peer.Name == "go-htpasswd"; o.Peer.Hashed && (o.Rehashed > 0) != want {
			t.Errorf("%s: right client hashed again %d times", o.Peer.Name, o.Rehashed)
		}
	}

	var out bytes.Buffer
	if err := flood.Report(&out, p, all, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| no auth |", "**paced/2+first**", "| Caddy basic_auth", "| cell | bound |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, out.String())
		}
	}
}

func TestAttemptsEndACell(t *testing.T) {
	t.Parallel()
	p := flood.DefaultPlan()
	p.Duration, p.Settle, p.Conns, p.Attempts = time.Minute, 0, 2, 20
	p.Peers, p.Cells = p.Peers[:1], []flood.Cell{{Sources: 1}}
	all, err := p.Run(t.Context(), func(flood.Observation) {})
	if err != nil {
		t.Fatal(err)
	}
	if got := all[0].Attack.Answered(); got != 20 {
		t.Errorf("%d guesses, want 20", got)
	}
	if all[0].Elapsed > 30*time.Second {
		t.Errorf("the cell went on for %v", all[0].Elapsed)
	}
}

func TestBadArgumentsAreOneLine(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-peers", "nobody"}, {"-cells", "sideways/3"}, {"-duration", "0s"}, {"extra"}, {"serve", "-peer", "noauth", "-users", "/nowhere"},
	} {
		var stderr bytes.Buffer
		if code := flood.Main(args, strings.NewReader(""), io.Discard, &stderr); code != 1 {
			t.Errorf("%v: exit status %d, want 1", args, code)
		}
		if lines := strings.Count(stderr.String(), "\n"); lines != 1 {
			t.Errorf("%v: %d lines on stderr: %s", args, lines, stderr.String())
		}
	}
}
