// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
)

// findings returns the events auth.coverage as "finding method route".
func findings(rec *otelauthtest.Recorder) []string {
	var all []string
	for _, e := range rec.Events() {
		if e.Name() == string(attempt.Coverage) {
			all = append(all, e.Attribute("auth.coverage.finding")+" "+e.Attribute("http.request.method")+" "+e.Attribute("http.route"))
		}
	}
	slices.Sort(all)
	return all
}

// TestCoverageAnonymousAccess has a public pattern that opens a more specific route of the inner
// router, which the Middleware does not know beforehand. It is reported once.
func TestCoverageAnonymousAccess(t *testing.T) {
	t.Parallel()
	inner := http.NewServeMux()
	for _, pattern := range []string{"GET /u/{id}", "GET /u/me", "GET /u/gone"} {
		inner.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/u/gone" {
				w.WriteHeader(http.StatusNotFound)
			}
		})
	}
	opaque := http.HandlerFunc(inner.ServeHTTP) // so that newService does not take it as Routes
	s := newService(t, otelauth.Config{Public: []string{"GET /u/{id}"}}, opaque)
	for range 3 {
		for _, path := range []string{"/u/7", "/u/me", "/u/gone"} {
			s.do(request(t, "GET", path, "", ""))
			s.do(request(t, "GET", path, "alice", "wrong"))
			s.do(request(t, "GET", path, "alice", "wonderland"))
		}
	}
	if got := findings(s.Recorder); !slices.Equal(got, []string{"anonymous_access GET /u/me"}) {
		t.Errorf("%q", got)
	}
	if n := s.Sum("auth.coverage.routes", attribute.String("auth.coverage.finding", "anonymous_access"), attribute.String("http.route", "/u/me")); n != 1 {
		t.Errorf("auth.coverage.routes is %v", n)
	}
	// The event is in the trace of the request.
	for _, e := range s.Events() {
		if e.Name() == string(attempt.Coverage) && !e.TraceID().IsValid() {
			t.Error("the event has no trace")
		}
	}

	// With the router in Config.Routes the route is protected, and nothing is to be reported.
	s = newService(t, otelauth.Config{Public: []string{"GET /u/{id}"}}, inner)
	if w := s.do(request(t, "GET", "/u/me", "", "")); w.Code != http.StatusUnauthorized {
		t.Errorf("status %d", w.Code)
	}
	s.do(request(t, "GET", "/u/7", "", ""))
	if got := findings(s.Recorder); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// TestCoverageNeverAuthenticated lets a day pass.
func TestCoverageNeverAuthenticated(t *testing.T) {
	t.Parallel()
	clock := otelauthtest.NewClock(time.Time{})
	cfg := otelauth.Config{Registered: []string{"GET /orders", "POST /orders", "/orders/{id}", "GET /export"}, Now: clock.Now}
	s := newService(t, cfg, nil)
	s.do(request(t, "GET", "/orders", "alice", "wonderland"))
	s.do(request(t, "GET", "/orders/7", "alice", "wonderland"))
	s.do(request(t, "GET", "/export", "", ""))
	clock.Advance(23 * time.Hour)
	s.do(request(t, "POST", "/orders", "alice", "wrong"))
	if got := findings(s.Recorder); len(got) > 0 {
		t.Errorf("after 23 hours: %q", got)
	}
	clock.Advance(time.Hour)
	for range 2 {
		s.do(request(t, "GET", "/orders", "alice", "wonderland"))
	}
	want := []string{"never_authenticated GET /export", "never_authenticated POST /orders"}
	if got := findings(s.Recorder); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if n := s.Sum("auth.coverage.routes"); n != 2 {
		t.Errorf("auth.coverage.routes is %v", n)
	}

	// A new configuration keeps what was recorded; a new route has its day.
	cfg.Accounts, cfg.Routes = accounts(t), ordersMux()
	cfg.TracerProvider, cfg.MeterProvider, cfg.LoggerProvider = s.TracerProvider(), s.MeterProvider(), s.LoggerProvider()
	cfg.Registered = append(cfg.Registered, "GET /later")
	if err := s.mw.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	s.do(request(t, "GET", "/orders", "", ""))
	if got := findings(s.Recorder); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	clock.Advance(24 * time.Hour)
	s.do(request(t, "GET", "/orders", "", ""))
	want = []string{"never_authenticated GET /export", "never_authenticated GET /later", "never_authenticated POST /orders"}
	if got := findings(s.Recorder); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestRegisteredIsChecked(t *testing.T) {
	t.Parallel()
	if _, err := otelauth.New(otelauth.Config{Accounts: accounts(t), Registered: []string{"orders"}}); err == nil {
		t.Error("a pattern without a path is accepted")
	}
}

// TestAllocationsOfCoverage compares requests with and without registered routes. Not parallel:
// AllocsPerRun counts the whole process.
func TestAllocationsOfCoverage(t *testing.T) {
	if testkit.Race {
		return
	}
	m, err := metrics.New(metrics.Config{MeterProvider: newBench(true).meters})
	if err != nil {
		t.Fatal(err)
	}
	count := func(cfg otelauth.Config, name string) float64 {
		cfg.Routes, cfg.Observers = benchMux(), []attempt.Observer{m}
		cfg.Public = []string{"GET /healthz"}
		h := newMiddleware(t, cfg).Wrap(benchMux())
		r := request(t, "GET", "/orders", name, "wonderland")
		w := &discard{header: http.Header{}}
		h.ServeHTTP(httptest.NewRecorder(), r)
		return testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) })
	}
	for _, name := range []string{"alice", ""} {
		bare := count(otelauth.Config{}, name)
		covered := count(otelauth.Config{Registered: []string{"GET /orders", "GET /export"}}, name)
		if covered > bare {
			t.Errorf("user %q: %v allocations with registered routes, %v without", name, covered, bare)
		}
	}
}
