// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package oracle_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/examples/compare/measure"
	"github.com/otelauth/otelauth-go/examples/compare/oracle"
	"github.com/otelauth/otelauth-go/examples/compare/peers"
)

// leaky hashes for known names only, which is the oldest oracle.
var leaky = peers.Peer{
	Name: "leaky", Title: "leaky", Hashed: true,
	New: func(users []peers.User, next http.Handler) (*peers.Service, error) {
		hashes := make(map[string]string)
		for _, u := range users {
			hashes[u.Name] = u.Hash
		}
		return &peers.Service{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name, pw, _ := r.BasicAuth()
			if hash, ok := hashes[name]; ok && bcrypt.CompareHashAndPassword([]byte(hash), []byte(pw)) == nil {
				next.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(http.StatusUnauthorized)
		})}, nil
	},
}

// Not parallel: Probe counts the CPU of the process.
func TestProbeSeesAnOracle(t *testing.T) {
	for _, concurrent := range []bool{false, true} {
		r, err := oracle.Probe(t.Context(), oracle.Scenario{Peer: leaky, Costs: []int{5, 6}, Names: 6, Concurrent: concurrent})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Comparisons[0].Worst(); got > -0.5 {
			t.Errorf("concurrent %t: unknown names differ by %v, want less than half the CPU", concurrent, got)
		}
		if r.Known[401] == 0 || r.Unknown[401] == 0 || len(r.Known) != 1 {
			t.Errorf("answers %v / %v, want only 401", r.Known, r.Unknown)
		}
		for _, c := range r.Comparisons {
			if len(c.Known) == 0 || len(c.Known) != len(c.Unknown) {
				t.Errorf("%s: %d known, %d unknown samples", c.What, len(c.Known), len(c.Unknown))
			}
		}
	}
}

// Not parallel, like the test above.
func TestEveryVerifierCanBeProbed(t *testing.T) {
	for _, name := range []string{"otelauth", "exporter-toolkit", "go-htpasswd"} {
		p, err := peers.ByName(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := oracle.Probe(t.Context(), oracle.Scenario{Peer: p, Costs: []int{bcrypt.MinCost}, Names: 2})
		if err != nil {
			t.Fatal(err)
		}
		if r.Known[200] != 0 || r.Unknown[200] != 0 {
			t.Errorf("%s: a guess was accepted: %v / %v", name, r.Known, r.Unknown)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	err := oracle.Report(&b, []oracle.Result{{
		Scenario: oracle.Scenario{Peer: leaky, Costs: []int{8, 12}, Names: 1},
		Comparisons: []oracle.Comparison{
			{What: "equal", Known: measure.Samples{0.1}, Unknown: measure.Samples{0.104}},
			{What: "unequal", Known: measure.Samples{0.1}, Unknown: measure.Samples{0.09}},
			{What: "queued", Wall: true, Known: measure.Samples{0.1}, Unknown: measure.Samples{0.2}},
		},
		Known: map[int]int{401: 1}, Unknown: map[int]int{401: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"8–12 mixed", "100.00 ms → 104.00 ms (+4.0 %)", "+4.0 % | yes", "-10.0 % | **no**", "2.0 × |  |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, b.String())
		}
	}
}

func TestBadArgumentsAreOneLine(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-n", "0"}, {"-costs", "3"}, {"-costs", "x"}, {"-peers", "nobody"}, {"extra"}} {
		var stderr bytes.Buffer
		if code := oracle.Main(args, io.Discard, &stderr); code != 1 || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%v: exit status %d, stderr %q", args, code, stderr.String())
		}
	}
}

func ExampleComparison_Worst() {
	c := oracle.Comparison{Known: measure.Samples{1, 2, 3}, Unknown: measure.Samples{1, 2, 3.3}}
	fmt.Printf("%.2f\n", c.Worst())
	// Output: 0.10
}
