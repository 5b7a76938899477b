// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// looking is a bcrypt hash of "looking-glass" with the lowest cost.
const looking = "$2a$04$9Ykrcej3Ps3.JByT5A1yU.Kf5rfKric56i3g52OmAnWf4r7dNOkni"

// shop is a service whose endpoints are all protected, except for those that forgotten serves.
func shop(t testing.TB, rec *otelauthtest.Recorder, cfg otelauth.Config, forgotten map[string]http.HandlerFunc) (http.Handler, *otelauth.Middleware) {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, text := range map[string]string{
		"GET /orders/{id}": "order 7: two pounds of tea", "POST /orders": "order 8: coffee", "GET /reports": "a report about last month",
		"GET /healthz": "ok",
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			fmt.Fprintln(w, text)
		})
	}
	cfg.Accounts = &verify.Static{Hashes: map[string]string{"alice": looking}}
	cfg.Routes, cfg.Public, cfg.Throttle = mux, []string{"GET /healthz"}, throttle.DangerouslyNone{}
	cfg.TracerProvider, cfg.MeterProvider, cfg.LoggerProvider = rec.TracerProvider(), rec.MeterProvider(), rec.LoggerProvider()
	mw, err := otelauth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	protected := mw.Wrap(mux)
	all := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := forgotten[r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		protected.ServeHTTP(w, r)
	})
	return otelhttp.NewHandler(all, "shop", otelhttp.WithTracerProvider(rec.TracerProvider()), otelhttp.WithMeterProvider(rec.MeterProvider()),
		otelhttp.WithPublicEndpointFn(mw.Untrusted)), mw
}

var routes = []string{
	"GET /orders/7 route=/orders/{id}", "POST /orders", "GET /reports", "GET /healthz public",
}

var unfolded = otelauth.Config{Events: audit.Events{DangerouslyUnfolded: true}}

func TestCoverage(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	h, _ := shop(t, rec, unfolded, nil)
	report := otelauthtest.Coverage(t, h, routes, otelauthtest.CoverageOptions{Recorder: rec, User: "alice", Password: "looking-glass"})
	if n := report.Telemetry.Attempts["recorded"]; n < 60 || n+report.Telemetry.Attempts["not required"] != report.Requests {
		t.Errorf("attempts by their verdicts: %v", report.Telemetry.Attempts)
	}
	t.Logf("%d requests, %v", report.Requests, report.Telemetry.Attempts)
	otelauthtest.NoSecrets(t, rec, "looking-glass")
}

// TestCoverageFolds closes the Middleware, so that its folds account for what has no event.
func TestCoverageFolds(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	h, mw := shop(t, rec, otelauth.Config{}, nil)
	report := otelauthtest.Coverage(t, h, routes, otelauthtest.CoverageOptions{Recorder: rec, User: "alice", Password: "looking-glass", Close: mw.Close})
	if n := report.Telemetry.Attempts["folded"]; n == 0 {
		t.Errorf("attempts by their verdicts: %v", report.Telemetry.Attempts)
	}
}

// TestCoverageOfGroups: each account that the test names must be refused where it has no group.
func TestCoverageOfGroups(t *testing.T) {
	t.Parallel()
	for _, isRefused := range []bool{true, false} {
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			switch {
			case len(r.Header.Values("Authorization")) != 1 || password != "password of "+user:
				w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
				http.Error(w, "an account is required", http.StatusUnauthorized)
			case r.URL.Path != "/admin":
				http.NotFound(w, r)
			case user != "root" && isRefused:
				http.Error(w, "the group admin is required", http.StatusForbidden)
			default:
				fmt.Fprintln(w, "settings: colour, language, currency, opening hours")
			}
		})
		fails := &failures{TB: t}
		otelauthtest.Coverage(fails, handler, []string{"GET /admin groups=admin"}, otelauthtest.CoverageOptions{
			Identities: []probe.Identity{
				{Username: "root", Password: "password of root", Groups: []string{"admin"}}, {Username: "bob", Password: "password of bob"},
			},
			FailOn: probe.Medium,
		})
		found := slices.ContainsFunc(fails.lines, func(text string) bool { return strings.Contains(text, "bob, who has none of the groups admin") })
		if found == isRefused || len(fails.lines) > 1 {
			t.Errorf("bob is refused: %t; failures %q", isRefused, fails.lines)
		}
	}
}

// TestCoverageFindsGaps has an endpoint that was forgotten, one that denies without a record, and
// one that works without telemetry.
func TestCoverageFindsGaps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		says    []string
	}{
		"open": {
			handler: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "a report about last month") },
			says:    []string{"GET /reports: Answers without credentials (critical)"},
		},
		"denies without a record": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				if user, password, _ := r.BasicAuth(); user != "alice" || password != "looking-glass" {
					w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
					http.Error(w, "an account is required", http.StatusUnauthorized)
					return
				}
				fmt.Fprintln(w, "a report about last month")
			},
			says: []string{"event: missing", "not counted"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := otelauthtest.NewRecorder(t)
			h, _ := shop(t, rec, unfolded, map[string]http.HandlerFunc{"/reports": c.handler})
			fails := &failures{TB: t}
			otelauthtest.Coverage(fails, h, routes, otelauthtest.CoverageOptions{Recorder: rec, User: "alice", Password: "looking-glass", FailOn: probe.Medium})
			for _, want := range c.says {
				if !slices.ContainsFunc(fails.lines, func(text string) bool { return strings.Contains(text, want) }) {
					t.Errorf("no failure says %q: %q", want, fails.lines)
				}
			}
			for _, text := range fails.lines {
				if !strings.Contains(text, "/reports") && !strings.Contains(text, "auth.attempts{") {
					t.Errorf("a failure about something else: %s", text)
				}
			}
		})
	}
}
