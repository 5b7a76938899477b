// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package routertest tests the examples of all routers: each must find the endpoint of every
// attempt, pass the user to the handler, and record the status of the handler.
package routertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Test tests the service that build returns. The service must answer "GET /orders/{id}" with the
// user's name and "GET /admin" with 403. route is the pattern of the first in the syntax of the
// router.
func Test(t *testing.T, route string, build func(otelauth.Config) (http.Handler, *otelauth.Middleware, error)) {
	t.Helper()
	rec := otelauthtest.NewRecorder(t)
	server := serve(t, rec, build)
	for _, tc := range []struct {
		name, path, password string
		status               int
	}{
		{"right password", "/orders/7", "wonderland", 200},
		{"wrong password", "/orders/7", "looking-glass", 401},
		{"no credentials", "/orders/7", "", 401},
		{"403 from the handler", "/admin", "wonderland", 403},
		{"an unregistered endpoint", "/nowhere/7", "", 401},
	} {
		status, body := get(t, server, tc.path, tc.password)
		if status != tc.status || status == 200 && body != "alice" {
			t.Errorf("%s: %d %q, want %d", tc.name, status, body, tc.status)
		}
	}
	server.Close() // waits until the server spans have ended and otelhttp has counted
	checkAttempts(t, rec, route)
	otelauthtest.NoSecrets(t, rec, "wonderland", "looking-glass")
}

// serve starts the service with the account alice.
func serve(
	t *testing.T, rec *otelauthtest.Recorder, build func(otelauth.Config) (http.Handler, *otelauth.Middleware, error),
) *httptest.Server {
	t.Helper()
	hash, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte("wonderland"), nil)
	if err != nil {
		t.Fatal(err)
	}
	router, mw, err := build(otelauth.Config{
		Accounts:       &verify.Static{Hashes: map[string]string{"alice": hash}},
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(otelhttp.NewHandler(router, "orders",
		otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName("orders.example:443"),
		otelhttp.WithTracerProvider(rec.TracerProvider()), otelhttp.WithMeterProvider(rec.MeterProvider())))
	t.Cleanup(server.Close)
	return server
}

// get sends a request of alice, without credentials when pass is "".
func get(t *testing.T, server *httptest.Server, path, pass string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if pass != "" {
		r.SetBasicAuth("alice", pass)
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// checkAttempts compares the events and metrics of the requests of Test.
func checkAttempts(t *testing.T, rec *otelauthtest.Recorder, route string) {
	t.Helper()
	type attempt struct {
		Outcome, Route string
		Status         int
	}
	var got []attempt
	for _, a := range rec.Attempts() {
		got = append(got, attempt{a.Outcome.String(), a.Route, a.Status})
	}
	want := []attempt{
		{"success", route, 200}, {"failure", route, 401}, {"missing", route, 401}, {"success", "/admin", 403}, {"missing", "", 401},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	for outcome, n := range map[string]float64{"success": 1, "failure": 1, "missing": 1} {
		if sum := rec.Sum("auth.attempts", attribute.String("http.route", route), attribute.String("auth.outcome", outcome)); sum != n {
			t.Errorf("auth.attempts of %s on %s: %v, want %v", outcome, route, sum, n)
		}
	}
	if sum := rec.Sum("auth.responses.denied", attribute.String("http.route", "/admin")); sum != 1 {
		t.Errorf("auth.responses.denied: %v, want 1", sum)
	}
	if sum := rec.Sum("http.server.request.duration", attribute.String("http.route", route), attribute.Int("http.response.status_code", 401)); sum != 2 {
		t.Errorf("otelhttp counted %v denials of %s, want 2", sum, route)
	}
}
