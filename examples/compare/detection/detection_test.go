// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/simulate"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

var (
	start = time.Date(2026, 1, 20, 4, 5, 6, 700e6, time.UTC)
	evil  = netip.MustParseAddr("100.0.0.1")
	good  = netip.MustParseAddr("20.1.2.3")
)

func try(after time.Duration, from netip.Addr, name string, outcome attempt.Outcome, attack int) simulate.Attempt {
	return simulate.Attempt{
		Time: start.Add(after), Client: from, Name: name, Known: name == "alice", Route: "/orders/{id}", Outcome: outcome, Attack: attack,
	}
}

func sample() *recording {
	return &recording{
		format:  formats["nginx"],
		attacks: []simulate.Attack{{Rule: detect.BruteForce}},
		attempts: []simulate.Attempt{
			try(0, good, "", attempt.Missing, -1),
			try(1*time.Second, good, "alice", attempt.Success, -1),
			try(2*time.Second, evil, "alice", attempt.Failure, 0),
			try(3*time.Second, evil, "mallory", attempt.Failure, 0),
			try(4*time.Second, evil, "alice", attempt.Failure, 0),
			try(5*time.Second, good, "alice", attempt.Success, -1),
		},
	}
}

// TestErrorLog: each wrong credential has a line, and a request without credentials has none.
func TestErrorLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "error.log")
	if err := sample().writeErrorLog(path, nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	want := []string{
		`2026/01/20 04:05:08 [error] 29#29: *3 user "alice": password mismatch, client: 100.0.0.1, server: api.example.com, ` +
			`request: "GET /orders/7 HTTP/1.1", host: "api.example.com"`,
		`2026/01/20 04:05:09 [error] 29#29: *4 user "mallory" was not found in "/etc/nginx/htpasswd", client: 100.0.0.1, server: api.example.com, ` +
			`request: "GET /orders/7 HTTP/1.1", host: "api.example.com"`,
	}
	if len(lines) != 3 {
		t.Fatalf("%d lines; want 3", len(lines))
	}
	for i := range want {
		if lines[i] != want[i] {
			t.Errorf("line %d is\n%s\nwant\n%s", i+1, lines[i], want[i])
		}
	}
}

func TestPathsHaveNoWildcards(t *testing.T) {
	t.Parallel()
	r, err := record(t.Context(), simulate.Scenario{Seed: 1, Users: 100, Days: 1}, formats["nginx"])
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range r.attempts {
		if p := pathOf(a.Route); !regexp.MustCompile(`^/[a-z0-9/.]+$`).MatchString(p) {
			t.Fatalf("route %q becomes path %q", a.Route, p)
		}
	}
}

func TestBursts(t *testing.T) {
	t.Parallel()
	r := sample()
	if b := r.bursts(3, 2*time.Second); len(b) != 1 || !b[evil] {
		t.Errorf("3 failures in 2 s: %v", b)
	}
	if b := r.bursts(3, time.Second); len(b) != 0 {
		t.Errorf("3 failures in 1 s: %v", b)
	}
	path := filepath.Join(t.TempDir(), "error.log")
	if err := r.writeErrorLog(path, map[netip.Addr]bool{}); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(path); err != nil || len(text) != 0 {
		t.Errorf("the log of no address is %q, %v", text, err)
	}
}

// TestAttempts: a driver gets every attempt once, and wrong ones with the line of nginx.
func TestAttempts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "attempts.jsonl")
	if err := sample().writeAttempts(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dec, errorLines := json.NewDecoder(bytes.NewReader(text)), 0
	for i := range sample().attempts {
		var p played
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.Index != i || p.IP == "" || p.Right != (i == 1 || i == 5) {
			t.Errorf("attempt %d is %+v", i, p)
		}
		if p.Error != "" {
			errorLines++
		}
	}
	if dec.More() || errorLines != 3 {
		t.Errorf("more attempts %v, %d error lines; want none and 3", dec.More(), errorLines)
	}
}

func TestScore(t *testing.T) {
	t.Parallel()
	r := sample()
	f, err := parseFindings([]byte(`{"block":"100.0.0.1","at":1768881909.7}` + "\n" + `{"refused":4}` + "\n" +
		`{"block":"20.1.2.3","at":1768881908,"by":"some"}` + "\n" + `{"refused":5}` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	attacks, honest := score(r, f)
	want := attackScore{detected: true, tries: 2, after: time.Second, blocks: 1, refused: 1.0 / 3}
	if len(attacks) != 1 || attacks[0] != want {
		t.Errorf("attacks: %+v, want %+v", attacks, want)
	}
	if want := (honestScore{addrs: 1, accounts: 1, refused: 1}); honest != want {
		t.Errorf("honest: %+v, want %+v", honest, want)
	}

	f.refused = map[int]bool{}
	f.refuseFor(r, 4*time.Second)
	if !f.refused[4] || f.refused[3] || f.refused[1] || !f.refused[5] {
		t.Errorf("refused for 4 s: %v", f.refused)
	}
	if _, err := parseFindings([]byte("Traceback\n")); err == nil {
		t.Error("parseFindings accepts a traceback")
	}
}

// TestOpenSSH: a wrong password of a name that is not an account has two lines, and a right one has
// a line too.
func TestOpenSSH(t *testing.T) {
	t.Parallel()
	r := sample()
	r.format = formats["openssh"]
	path := filepath.Join(t.TempDir(), "auth.log")
	if err := r.writeErrorLog(path, nil); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = `2026-01-20T04:05:07.700000+00:00 host sshd[1001]: Accepted password for alice from 20.1.2.3 port 40000 ssh2
2026-01-20T04:05:08.700000+00:00 host sshd[1002]: Failed password for alice from 100.0.0.1 port 40000 ssh2
2026-01-20T04:05:09.700000+00:00 host sshd[1003]: Invalid user mallory from 100.0.0.1 port 40000
2026-01-20T04:05:09.700000+00:00 host sshd[1003]: Failed password for invalid user mallory from 100.0.0.1 port 40000 ssh2
`
	if !strings.HasPrefix(string(text), want) {
		t.Errorf("got\n%s", text)
	}
}

// TestNamed: a finding names the addresses of its networks that failed while it lasted.
func TestNamed(t *testing.T) {
	t.Parallel()
	f, err := sample().named([]byte(`{"findings":[{"rule":"failure_burst","severity":"medium","first":"2026-01-20T04:05:07Z","detected":"2026-01-20T04:05:09Z",` +
		`"last":"2026-01-20T04:05:09Z","networks":["100.0.0.0/24","20.1.2.0/24"]},{"severity":"low","networks":["20.1.2.0/24"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.blocks) != 1 || f.blocks[0].addr != evil || f.blocks[0].by != "failure_burst" {
		t.Errorf("named: %+v", f.blocks)
	}
}
