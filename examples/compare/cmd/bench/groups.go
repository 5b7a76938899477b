// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/otelauth/otelauth-go/examples/compare/peers"
)

// group is one table: benchmarks that take turns.
type group struct {
	title      string
	benchmarks []string
	// references are the benchmarks that the ratios refer to.
	references []string
	// extra are additional units that the benchmarks report.
	extra  []string
	bounds []bound
}

// bound is one target of the project: (of − less) ÷ by stays at or below limit.
type bound struct {
	words        string
	of, less, by string
	// unit is the unit that is compared; "" compares CPU time, with wall time beside it.
	unit  string
	limit float64
}

// value is the left side of the bound. less and by may be "".
func (b bound) value(median func(name, unit string) float64, unit string) float64 {
	v := median(b.of, unit)
	if b.less != "" {
		v -= median(b.less, unit)
	}
	if b.by != "" {
		v /= median(b.by, unit)
	}
	return v
}

func groups() []group {
	verify := group{
		title:      "verification of a cached credential",
		benchmarks: []string{"BenchmarkVerify/basicauth", "BenchmarkVerify/otelauth", "BenchmarkVerify/caddy", "BenchmarkVerify/exporter-toolkit"},
		references: []string{"BenchmarkVerify/basicauth", "BenchmarkVerify/caddy", "BenchmarkVerify/exporter-toolkit"},
		bounds: []bound{
			{words: "allocations: 0", of: "BenchmarkVerify/otelauth", unit: "allocs/op", limit: 0},
			{words: "≤ 1.3 × r.BasicAuth()", of: "BenchmarkVerify/otelauth", by: "BenchmarkVerify/basicauth", limit: 1.3},
			{words: "≤ 0.4 × Caddy's cached provider", of: "BenchmarkVerify/otelauth", by: "BenchmarkVerify/caddy", limit: 0.4},
			{words: "≤ 1/80 of exporter-toolkit", of: "BenchmarkVerify/otelauth", by: "BenchmarkVerify/exporter-toolkit", limit: 1.0 / 80},
		},
	}
	handler := group{
		title:      "whole handler, right credentials",
		references: []string{"BenchmarkHandler/noauth", "BenchmarkHandler/basicauth", "BenchmarkHandler/caddy"},
	}
	miss := group{
		title:      "cache miss, bcrypt cost 4",
		benchmarks: []string{"BenchmarkMiss/raw"},
		references: []string{"BenchmarkMiss/raw"},
		bounds: []bound{
			{words: "otelauth − raw hash, ns ≤ 20,000", of: "BenchmarkMiss/otelauth", less: "BenchmarkMiss/raw", limit: 20_000},
		},
	}
	for _, p := range peers.All() {
		handler.benchmarks = append(handler.benchmarks, "BenchmarkHandler/"+p.Name)
		if p.Hashed {
			miss.benchmarks = append(miss.benchmarks, "BenchmarkMiss/"+p.Name)
		}
	}
	overhead := group{
		title:      "cache miss, cost in addition to the hash",
		benchmarks: []string{"BenchmarkMissOverhead/raw", "BenchmarkMissOverhead/otelauth"},
		bounds: []bound{
			{
				words: "otelauth − raw hash, ns ≤ 20,000", limit: 20_000,
				of: "BenchmarkMissOverhead/otelauth", less: "BenchmarkMissOverhead/raw",
			},
		},
	}
	all := []group{verify, handler, miss, overhead}
	for _, sampled := range []string{"always", "never"} {
		for _, routed := range []string{"plain", "mux"} {
			all = append(all, otelGroup(sampled, routed))
		}
	}
	return all
}

func otelGroup(sampled, routed string) group {
	prefix := "BenchmarkOTel/" + sampled + "/" + routed + "/"
	floor, ours, event := prefix+"otelhttp", prefix+"otelauth", prefix+"otelauth+event"
	g := group{
		title:      fmt.Sprintf("inside otelhttp, %s sampled, %s", sampled, map[string]string{"plain": "no routes", "mux": "ServeMux"}[routed]),
		benchmarks: []string{floor, ours, event},
		references: []string{floor},
		extra:      []string{"spans/op", "events/op"},
	}
	limit := func(of string, ratio, allocs float64) {
		g.bounds = append(g.bounds,
			bound{words: fmt.Sprintf("%s ≤ %g × otelhttp", short(of), ratio), of: of, by: floor, limit: ratio},
			bound{words: fmt.Sprintf("%s: allocations ≤ +%g", short(of), allocs), of: of, less: floor, unit: "allocs/op", limit: allocs})
	}
	if sampled == "always" {
		limit(ours, 1.5, 5)
		limit(event, 2.2, 12)
	} else {
		limit(ours, 1.4, 3)
	}
	return g
}

// short is the last part of a benchmark's name, as in the tables.
func short(name string) string { return name[strings.LastIndex(name, "/")+1:] }
