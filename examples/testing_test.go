// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// The Go blocks of docs/testing.md.

// hash is a bcrypt hash of "wonderland" with the lowest cost.
const hash = wonderland

func newService(mw *otelauth.Middleware) http.Handler {
	return mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := otelauth.UserFromContext(r.Context())
		fmt.Fprintln(w, user.Name)
	}))
}

func TestOrders(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	mw, err := otelauth.New(otelauth.Config{
		Accounts:       &verify.Static{Hashes: map[string]string{"alice": hash}},
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "https://orders.example/orders/7", nil)
	r.SetBasicAuth("alice", "looking-glass")
	w := httptest.NewRecorder()
	newService(mw).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("status %d", w.Code)
	}

	// The attempt: what its telemetry says, in one struct.
	attempts := rec.Attempts()
	if len(attempts) != 1 || attempts[0].Outcome != attempt.Failure || attempts[0].UserName != "alice" {
		t.Fatalf("attempts: %+v", attempts)
	}
	// The event, the span and the metric, if the test is about one of them.
	trace := rec.ByTrace(attempts[0].TraceID)
	if event := trace.Events[0]; event.Name() != "auth.attempt" || event.Attribute("client.address") != "192.0.2.1" {
		t.Errorf("event %s of %s", event.Name(), event.Attribute("client.address"))
	}
	for _, span := range trace.Spans {
		if span.Name == "authenticate basic" && span.Attribute("error.type") != "invalid_credentials" {
			t.Errorf("the span has error.type %q", span.Attribute("error.type"))
		}
	}
	if n := rec.Sum("auth.attempts", attribute.String("auth.outcome", "failure")); n != 1 {
		t.Errorf("auth.attempts is %v", n)
	}
	// No signal holds the password in any encoding.
	otelauthtest.NoSecrets(t, rec, "looking-glass")
}

// TestTestAddress: what docs/testing.md says about httptest.NewRequest.
func TestTestAddress(t *testing.T) {
	t.Parallel()
	mw, err := otelauth.New(otelauth.Config{Accounts: &verify.Static{Hashes: map[string]string{"alice": hash}}})
	if err != nil {
		t.Fatal(err)
	}
	handler := newService(mw)
	code := func(r *http.Request) int {
		r.SetBasicAuth("alice", "wonderland")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	plain := httptest.NewRequestWithContext(t.Context(), "GET", "/orders/7", nil)
	if got := code(plain); got != http.StatusForbidden || plain.RemoteAddr != "192.0.2.1:1234" {
		t.Errorf("%d from %s", got, plain.RemoteAddr)
	}
	if got := code(httptest.NewRequestWithContext(t.Context(), "GET", "https://orders.example/orders/7", nil)); got != http.StatusOK {
		t.Errorf("over TLS: %d", got)
	}

	r := httptest.NewRequestWithContext(t.Context(), "GET", "/orders/7", nil)
	r.RemoteAddr = "127.0.0.1:1234"

	if got := code(r); got != http.StatusOK {
		t.Errorf("from loopback: %d", got)
	}
}

// TestProbed has the Go block of docs/probe.md.
func TestProbed(t *testing.T) {
	t.Parallel()
	mw, err := otelauth.New(otelauth.Config{
		Accounts: &verify.Static{Hashes: map[string]string{"alice": hash}}, DisableFallback: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := newService(mw)
	report, err := probe.Run(t.Context(), probe.Config{
		Handler:    handler, // no sockets
		Endpoints:  []probe.Endpoint{{Path: "/orders/"}, {Path: "/admin/", Groups: []string{"admin"}}},
		Identities: []probe.Identity{{Username: "alice", Password: "wonderland", Groups: []string{"admin"}}},
		Rate:       -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		t.Errorf("%s: %s", f.ID, f.Detail)
	}
}

func TestEveryRoute(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "two pounds of tea") })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mw, err := otelauth.New(otelauth.Config{
		Accounts: &verify.Static{Hashes: map[string]string{"alice": hash}},
		Routes:   mux, Public: []string{"GET /healthz"},
		// Coverage makes more attempts than budgets allow, and each is to be an event.
		Throttle: throttle.DangerouslyNone{}, Events: audit.Events{DangerouslyUnfolded: true},
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	otelauthtest.Coverage(t, mw.Wrap(mux), []string{"GET /orders/7 route=/orders/{id}", "GET /healthz public"},
		otelauthtest.CoverageOptions{Recorder: rec, User: "alice", Password: "wonderland"})
}
