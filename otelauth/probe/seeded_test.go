// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// seededConfig probes the seeded site.
func seededConfig() probe.Config {
	c := probe.Config{
		Identities: []probe.Identity{
			{Username: "alice", Password: accounts["alice"], Groups: []string{"admin"}},
			{Username: "bob", Password: accounts["bob"], Groups: []string{"staff"}},
		},
		Throwaway: "mallory", Rate: -1, Samples: -1,
	}
	for _, s := range slices.Concat(flawed, alike) {
		c.Endpoints = append(c.Endpoints, probe.Endpoint{Path: s.path, Groups: s.groups, Access: s.access})
	}
	return c
}

func TestSeededSite(t *testing.T) {
	t.Parallel()
	handler := site{slices.Concat(flawed, alike)}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	for name, c := range map[string]probe.Config{"network": {Target: server.URL}, "memory": {Handler: handler}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := seededConfig()
			whole.Target, whole.Handler = c.Target, c.Handler
			report, err := probe.Run(t.Context(), whole)
			if err != nil {
				t.Fatal(err)
			}
			compareWithSeeds(t, report)
		})
	}
}

// compareWithSeeds compares the findings with the planted flaws: none more, none less. Findings of
// severity info do not count.
func compareWithSeeds(t *testing.T, report *probe.Report) {
	t.Helper()
	if n := len(report.Rows); n != 60 {
		t.Errorf("%d endpoints, want 60", n)
	}
	found := make(map[string][]probe.Rule)
	for _, f := range report.Findings {
		if f.Severity > probe.Info {
			found[f.Endpoint.Path] = append(found[f.Endpoint.Path], f.Rule)
		}
	}
	planted, missed, wrong := 0, 0, 0
	for _, s := range slices.Concat(flawed, alike) {
		for _, name := range s.flaws {
			planted++
			want := flaws[name].rule
			if !slices.Contains(found[s.path], want) {
				missed++
				t.Errorf("%s: %q was not found", s.path, name)
			}
		}
		for _, rule := range found[s.path] {
			if !slices.ContainsFunc(s.flaws, func(name string) bool { return flaws[name].rule == rule }) {
				wrong++
				t.Errorf("%s (%s%v): false finding %s", s.path, s.like, s.flaws, rule)
				explain(t, report, s.path)
			}
		}
	}
	t.Logf("%d planted, %d found, %d false, %d requests", planted, planted-missed, wrong, report.Requests)
	if planted != 40 || len(alike) != 30 {
		t.Errorf("%d flaws and %d look-alikes, want 40 and 30", planted, len(alike))
	}
	for _, g := range report.NotTested {
		if g.Endpoint != "" {
			t.Errorf("not judged: %s %s: %s", g.Endpoint, g.Probe, g.Why)
		}
	}
}

// TestEachFlawAlone: each kind of flaw is found at an endpoint that has no other, and nothing else
// is found there.
func TestEachFlawAlone(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	for name, f := range flaws {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := seed{path: "/only/endpoint", flaws: []string{name}, groups: []string{"admin"}}
			c := seededConfig()
			c.Target, c.Handler = "http://site.test", site{[]seed{s}}
			c.Endpoints = []probe.Endpoint{{Path: s.path, Groups: s.groups}}
			report, err := probe.Run(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Findings) != 1 || report.Findings[0].Rule != f.rule {
				t.Errorf("want one finding %s", f.rule)
				explain(t, report, s.path)
			}
		})
	}
}

// explain logs the findings of an endpoint.
func explain(t *testing.T, report *probe.Report, path string) {
	t.Helper()
	for _, f := range report.Findings {
		if f.Endpoint.Path == path {
			t.Logf("  %s by %v: %s", f.ID, f.Probes, f.Detail)
		}
	}
}

// TestNothingSentElsewhere: a redirect to another host is not followed, and the Host of a request
// is not an address.
func TestNothingSentElsewhere(t *testing.T) {
	t.Parallel()
	visited := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited++ }))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
	}))
	t.Cleanup(server.Close)
	c := seededConfig()
	c.Target, c.Endpoints = server.URL, []probe.Endpoint{{Path: "/a"}}
	if _, err := probe.Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if visited > 0 {
		t.Errorf("%d requests went to another host", visited)
	}
}
