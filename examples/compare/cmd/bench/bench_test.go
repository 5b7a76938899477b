// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const out = `goos: linux
BenchmarkVerify/exporter-toolkit-2  	   19695	     18665 ns/op	     23883 cpu-ns/op	    7824 B/op	      64 allocs/op
PASS
`
	s, err := parse("BenchmarkVerify/exporter-toolkit", out)
	if err != nil {
		t.Fatal(err)
	}
	if s["ns/op"] != 18665 || s["cpu-ns/op"] != 23883 || s["allocs/op"] != 64 || s["B/op"] != 7824 {
		t.Errorf("parsed %v", s)
	}
	if _, err := parse("BenchmarkVerify/exporter", out); err == nil {
		t.Error("a name that is only a prefix has a result")
	}
	// Without the suffix, as with GOMAXPROCS=1, a name that contains a dash is unchanged.
	if _, err := parse("BenchmarkVerify/exporter-toolkit", strings.ReplaceAll(out, "toolkit-2", "toolkit")); err != nil {
		t.Error(err)
	}
}

func TestReportShowsMediansRatiosAndBounds(t *testing.T) {
	t.Parallel()
	g := group{
		title: "t", benchmarks: []string{"B/a", "B/b"}, references: []string{"B/a"},
		bounds: []bound{
			{words: "b ≤ 1.5 × a", of: "B/b", by: "B/a", limit: 1.5},
			{words: "b ≤ 3 × a", of: "B/b", by: "B/a", limit: 3},
			{words: "allocations ≤ +1", of: "B/b", less: "B/a", unit: "allocs/op", limit: 1},
		},
	}
	row := func(cpu, allocs float64) sample {
		return sample{"cpu-ns/op": cpu, "ns/op": cpu, "allocs/op": allocs, "B/op": 0}
	}
	var b bytes.Buffer
	err := g.report(&b, map[string][]sample{
		"B/a": {row(90, 1), row(100, 1), row(900, 1)},
		"B/b": {row(200, 2), row(200, 2), row(200, 2)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| a | 100 | 100 | 1 | 0 | 1.00 × |", "| b | 200 | 200 | 2 | 0 | 2.00 × |",
		"| b ≤ 1.5 × a | 2 | 2 | **no** |", "| b ≤ 3 × a | 2 | 2 | yes |", "| allocations ≤ +1 | 1 | 1 | yes |"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("report lacks %q:\n%s", want, b.String())
		}
	}
}

// TestEveryBenchmarkOfEveryTableRuns runs each benchmark of each table for one iteration. It fails
// if a table and the benchmarks disagree.
func TestEveryBenchmarkOfEveryTableRuns(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-count", "1", "-benchtime", "1x"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, g := range groups() {
		if !strings.Contains(out.String(), "| "+g.title+" |") {
			t.Errorf("no table %q", g.title)
		}
	}
}

func TestBadArguments(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-count", "0"}, {"-groups", "no such table"}, {"-groups", "("}, {"extra"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
