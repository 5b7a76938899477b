// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"context"
	"net/http"
	"testing"

	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/spans"
)

// The limits are those of the table in the README. Not parallel: AllocsPerRun counts the whole
// process.

func TestAllocationsOfAuthenticate(t *testing.T) {
	if testkit.Race {
		return
	}
	m, err := metrics.New(metrics.Config{MeterProvider: newBench(true).meters})
	if err != nil {
		t.Fatal(err)
	}
	for name, observers := range map[string][]attempt.Observer{"no observers": {}, "metrics": {m}} {
		mw := newMiddleware(t, otelauth.Config{Observers: observers, Routes: ordersMux()})
		r := request(t, "GET", "/orders", "alice", "wonderland")
		mw.Authenticate(r) // fill the cache
		got := testing.AllocsPerRun(500, func() {
			if user, _ := mw.Authenticate(r); user.Name != "alice" {
				t.Error("refused")
			}
		})
		if got > 0 {
			t.Errorf("%s: %v allocations, want none", name, got)
		}
	}
}

func TestAllocationsInsideOtelhttp(t *testing.T) {
	if testkit.Race {
		return
	}
	for _, tc := range []struct {
		name          string
		sample, event bool
		max           float64
	}{
		{name: "always sampled", sample: true, max: 5},
		{name: "never sampled", max: 3},
		{name: "always sampled, with the event", sample: true, event: true, max: 12},
	} {
		env := newBench(tc.sample)
		s, errSpans := spans.New(spans.Config{TracerProvider: env.traces})
		m, errMetrics := metrics.New(metrics.Config{MeterProvider: env.meters})
		observers := []attempt.Observer{s, m}
		if tc.event {
			logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(dropped{})), sdklog.WithAllowKeyDuplication())
			t.Cleanup(func() { _ = logs.Shutdown(context.Background()) })
			a, err := audit.New(audit.Config{LoggerProvider: logs})
			if err != nil {
				t.Fatal(err)
			}
			observers = append(observers, a)
		}
		if errSpans != nil || errMetrics != nil {
			t.Fatal(errSpans, errMetrics)
		}
		mux := benchMux()
		mw := newMiddleware(t, otelauth.Config{Routes: mux, Observers: observers})
		count := func(h http.Handler) float64 {
			w := &discard{header: http.Header{}}
			r := request(t, "GET", "/orders", "alice", "wonderland")
			h.ServeHTTP(w, r)
			return testing.AllocsPerRun(500, func() {
				r.Pattern = ""
				h.ServeHTTP(w, r)
			})
		}
		bare, ours := count(env.otelhttp(benchMux())), count(env.otelhttp(mw.Wrap(mux)))
		if ours-bare > tc.max {
			t.Errorf("%s: %v allocations above the %v of otelhttp, want at most %v", tc.name, ours-bare, bare, tc.max)
		}
	}
}
