// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package upstreams

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/gateway"
)

var (
	seed      = flag.Uint64("paths.seed", 1, "the seed of the generated paths")
	inProcess = flag.Int("paths.process", 20_000, "how many paths are judged in process")
	perServer = flag.Int("paths.server", 800, "how many paths each real server gets")
)

// ledger counts inputs and keeps an example of each defect.
type ledger struct {
	mu      sync.Mutex
	inputs  int
	passed  int // answers that came from the upstream
	defects int
	seen    map[string]int
	lines   []string
}

// maxExamples bounds what is minimised and printed, for each place, caller and kind.
const maxExamples = 3

// add counts a defect, and keeps it when there are few of its sort.
func (l *ledger) add(d defect, shows func(input) bool) {
	sort := fmt.Sprintf("%s: %s gets %s content", d.where, d.who, d.got)
	l.mu.Lock()
	l.defects++
	if l.seen == nil {
		l.seen = make(map[string]int)
	}
	l.seen[sort]++
	keep := l.seen[sort] <= maxExamples
	l.mu.Unlock()
	if !keep {
		return
	}
	line := fmt.Sprintf("%s: %q", sort, minimise(d.in, shows).line())
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.lines, line) {
		l.lines = append(l.lines, line)
	}
}

// report fails the test when there are defects.
func (l *ledger) report(t *testing.T) {
	t.Helper()
	slices.Sort(l.lines)
	if l.defects > 0 {
		t.Errorf("%d defects; minimised:\n%s", l.defects, strings.Join(l.lines, "\n"))
	}
}

// table is the summary of all runs.
var table struct {
	sync.Mutex
	rows []string
}

func TestMain(m *testing.M) {
	code := m.Run()
	if testing.Verbose() && len(table.rows) > 0 {
		slices.Sort(table.rows)
		fmt.Println(strings.Join(table.rows, "\n"))
	}
	os.Exit(code)
}

func (l *ledger) row(name string, took time.Duration) {
	table.Lock()
	defer table.Unlock()
	table.rows = append(table.rows, fmt.Sprintf("%-28s %9d inputs %9d answers of the upstream %7d defects %7.1f s %8.0f inputs/s",
		name, l.inputs, l.passed, l.defects, took.Seconds(), float64(l.inputs)/took.Seconds()))
}

// progress logs at most once in 10 s.
type progress struct {
	mu   sync.Mutex
	next time.Time
}

func (p *progress) log(t *testing.T, format string, args ...any) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.After(p.next) {
		if !p.next.IsZero() {
			t.Logf(format, args...)
		}
		p.next = now.Add(10 * time.Second)
	}
}

// No spelling of a path gets past the gateway's policy or the library, whatever reads it then.
// In process.
func TestPathsInProcess(t *testing.T) {
	t.Parallel()
	var l ledger
	var p progress
	began := time.Now()
	numbers := make(chan uint64, 256)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		j := newJudge(t)
		workers.Go(func() {
			inputs := 0
			for n := range numbers {
				inputs++
				for _, d := range j.check(generate(*seed, n)) {
					l.add(d, func(in input) bool {
						return slices.ContainsFunc(j.check(in), func(other defect) bool {
							return other.where == d.where && other.who == d.who && other.got == d.got
						})
					})
				}
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.inputs += inputs
			l.passed += j.passed
		})
	}
	for n := range uint64(*inProcess) {
		numbers <- n
		p.log(t, "in process: %d of %d", n, *inProcess)
	}
	close(numbers)
	workers.Wait()
	l.row("in process", time.Since(began))
	l.report(t)
}

// FuzzPaths searches for such a spelling, guided by coverage.
func FuzzPaths(f *testing.F) {
	for n := range uint64(400) {
		in := generate(*seed, n)
		f.Add(in.method, in.target)
	}
	j := newJudge(f)
	f.Fuzz(func(t *testing.T, method, target string) {
		if len(target) > 300 || strings.ContainsAny(method+target, "\r\n ") || method == "" || !strings.HasPrefix(target, "/") {
			return
		}
		for _, d := range j.check(input{method: method, target: target}) {
			t.Errorf("%s: %s gets %s content: %q", d.where, d.who, d.got, d.in.line())
		}
	})
}

// No spelling of a path gets past the gateway to a real server, or past a proxy that asks it.
func TestPathsOnServers(t *testing.T) {
	t.Parallel()
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			upstream := s.start(t)
			attack(t, s.name, upstream, []front{
				behindGateway(t, upstream, gateway.Config{}),
				behindGateway(t, upstream, gateway.Config{AllowRawPaths: []string{"/"}}),
				behindGateway(t, upstream, gateway.Config{AllowRawPaths: []string{"/files/"}}),
			})
		})
	}
	for name, behind := range proxies {
		t.Run("forward-auth "+name, func(t *testing.T) {
			t.Parallel()
			upstream := startMirrors(t)
			attack(t, "forward-auth "+name, upstream, []front{behind(t, upstream, gateway.Config{})})
		})
	}
}

// attack sends generated paths to each front as each caller.
func attack(t *testing.T, name, upstream string, fronts []front) {
	t.Helper()
	for _, f := range fronts {
		sane(t, f)
	}
	blind(t, upstream)
	var l ledger
	var p progress
	began := time.Now()
	numbers := make(chan uint64, 64)
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			a := newAttacker(fronts)
			defer a.close()
			for n := range numbers {
				a.try(t, &l, generate(*seed, n))
			}
		})
	}
	for n := range uint64(*perServer) {
		numbers <- n
		p.log(t, "%s: %d of %d", name, n, *perServer)
	}
	close(numbers)
	workers.Wait()
	l.row(name, time.Since(began))
	l.report(t)
}

// attacker has a connection to each front.
type attacker struct{ clients []*client }

func newAttacker(fronts []front) *attacker {
	a := &attacker{}
	for _, f := range fronts {
		a.clients = append(a.clients, &client{front: f})
	}
	return a
}

func (a *attacker) close() {
	for _, c := range a.clients {
		c.close()
	}
}

func (a *attacker) try(t *testing.T, l *ledger, in input) {
	t.Helper()
	passed := 0
	for _, c := range a.clients {
		for _, who := range []account{anonymous, alice} {
			got, err := c.do(in, who)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				return
			}
			k, _ := got.marker()
			if k != "" {
				passed++
			}
			if !forbidden(who, k) {
				continue
			}
			l.add(defect{c.name, who, k, in}, func(in input) bool {
				got, err := c.do(in, who)
				k2, _ := got.marker()
				return err == nil && k2 == k
			})
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inputs++
	l.passed += passed
}

// sane checks that a front and its upstream work: each caller gets the content for it.
func sane(t *testing.T, f front) {
	t.Helper()
	c := &client{front: f}
	defer c.close()
	for _, tt := range []struct {
		target string
		who    account
		status int
		kind   kind
	}{
		{"/healthz", anonymous, 200, public},
		{"/static/a.css", anonymous, 200, public},
		{"/u/7", anonymous, 200, public},
		{"/orders", anonymous, 401, ""},
		{"/orders", alice, 200, protected},
		{"/files/a", alice, 200, protected},
		{"/admin/", alice, 403, ""},
		{"/admin/", root, 200, restricted},
		{"/u/me", root, 200, restricted},
		{"/files/private/secret.txt", root, 200, restricted},
	} {
		got, err := c.do(input{method: "GET", target: tt.target}, tt.who)
		if err != nil {
			t.Fatal(err)
		}
		k, _ := got.marker()
		shown := k == tt.kind || tt.kind != "" && strings.Contains(got.body, "marker="+string(tt.kind))
		if got.status != tt.status || !shown {
			t.Fatalf("%s: %s %s: %d %q, want %d %s", f.name, tt.who, tt.target, got.status, got.body, tt.status, tt.kind)
		}
	}
}

// blind checks the oracles: without a gateway, generated paths reach restricted parts in
// spellings that no rule has.
func blind(t *testing.T, upstream string) {
	t.Helper()
	c := &client{front: front{addr: upstream, host: "h"}}
	defer c.close()
	for n := range uint64(2000) {
		in := generate(*seed, n)
		if strings.HasPrefix(in.target, "/admin") || strings.HasPrefix(in.target, "/u/me") || strings.HasPrefix(in.target, "/files/private") {
			continue
		}
		got, err := c.do(in, anonymous)
		if err != nil {
			t.Fatal(err)
		}
		if k, _ := got.marker(); k == restricted {
			return
		}
	}
	t.Fatal("no generated path reaches a restricted part of the bare upstream")
}
