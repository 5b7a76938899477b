// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// plainService verifies passwords without a hash and without budgets, so that a benchmark measures
// the probe.
var plainService = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if user, password, _ := r.BasicAuth(); !valid(user, password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
		http.Error(w, "an account is required", http.StatusUnauthorized)
		return
	}
	if !strings.HasPrefix(r.URL.Path, "/orders/") || strings.Contains(r.URL.Path, "otelauth-probe") {
		http.NotFound(w, r)
		return
	}
	io.WriteString(w, "an order of tea, coffee, sugar and milk for the customer of "+r.URL.Path)
})

func manyEndpoints(n int) probe.Config {
	c := probe.Config{
		Identities: []probe.Identity{{Username: "alice", Password: accounts["alice"]}},
		Throwaway:  "mallory", Rate: -1, Samples: -1, MaxRequests: 1 << 30, Workers: 4,
		Each: func(probe.Row) error { return nil },
	}
	for i := range n {
		c.Endpoints = append(c.Endpoints, probe.Endpoint{Path: fmt.Sprintf("/orders/%d", i)})
	}
	return c
}

// benchmark probes 1,000 endpoints in each iteration.
func benchmark(b *testing.B, c probe.Config) {
	b.Helper()
	requests := 0
	var most uint64
	c.Each = func(probe.Row) error {
		if requests++; requests%250 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
		}
		return nil
	}
	total := 0
	used := testkit.CPUTime(b)
	for b.Loop() {
		report, err := probe.Run(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		if len(report.Findings) > 0 || report.Verdicts[probe.Unknown] > 0 {
			b.Fatalf("%d findings, verdicts %v", len(report.Findings), report.Verdicts)
		}
		total += report.Requests
	}
	b.ReportMetric(float64(total)/b.Elapsed().Seconds(), "attempts/s")
	b.ReportMetric(float64(total)/(testkit.CPUTime(b)-used).Seconds(), "attempts/cpu-s")
	b.ReportMetric(float64(total)/float64(b.N), "attempts/op")
	b.ReportMetric(float64(most)/(1<<20), "MiB-heap")
}

// BenchmarkMemory probes a handler without sockets.
func BenchmarkMemory(b *testing.B) {
	c := manyEndpoints(1000)
	c.Handler = plainService
	benchmark(b, c)
}

// BenchmarkNetwork probes a service on loopback.
func BenchmarkNetwork(b *testing.B) {
	server := httptest.NewServer(plainService)
	b.Cleanup(server.Close)
	c := manyEndpoints(1000)
	c.Target = server.URL
	benchmark(b, c)
}
