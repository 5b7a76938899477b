// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package told is what each router's example must do: name the endpoint of every attempt, hand the user on, and
// see the status that the handler answers.
package told

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

// Test runs the service that build makes of a config. It serves "GET /orders/{id}", which answers the user's
// name, and "GET /admin", which answers 403. route is the pattern of the first as the router writes it.
func Test(t *testing.T, route string, build func(otelauth.Config) (http.Handler, *otelauth.Middleware, error)) {
	t.Helper()
	rec := otelauthtest.NewRecorder(t)
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

	get := func(path, pass string) (status int, body string) {
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
	if status, body := get("/orders/7", "wonderland"); status != 200 || body != "alice" {
		t.Errorf("right password: %d %q, want 200 and the user's name", status, body)
	}
	if status, _ := get("/orders/7", "looking-glass"); status != 401 {
		t.Errorf("wrong password: %d, want 401", status)
	}
	if status, _ := get("/orders/7", ""); status != 401 {
		t.Errorf("no credentials: %d, want 401", status)
	}
	if status, _ := get("/admin", "wonderland"); status != 403 {
		t.Errorf("403 from the handler: %d", status)
	}
	if status, _ := get("/nowhere/7", ""); status != 401 {
		t.Errorf("an endpoint that nobody registered: %d, want 401", status)
	}

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
	server.Close() // the server's spans have ended, and otelhttp has counted
	if sum := rec.Sum("http.server.request.duration", attribute.String("http.route", route), attribute.Int("http.response.status_code", 401)); sum != 2 {
		t.Errorf("otelhttp counted %v denials of %s, want 2", sum, route)
	}
	otelauthtest.NoSecrets(t, rec, "wonderland", "looking-glass")
}
