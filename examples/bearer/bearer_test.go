// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package bearer_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/examples/bearer"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
)

const token = "mF_9.B5f-4.1JqM" // from RFC 6750, section 2.1

func tokens() bearer.Tokens {
	return bearer.Tokens{sha256.Sum256([]byte(token)): "shop"}
}

func Example() {
	guard, err := bearer.New(tokens(), tracenoop.NewTracerProvider(), metricnoop.NewMeterProvider())
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("GET /orders", guard.Wrap("/orders", http.NotFoundHandler()))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/orders", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Bearer
}

func TestRecorded(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	guard, err := bearer.New(tokens(), rec.TracerProvider(), rec.MeterProvider())
	if err != nil {
		t.Fatal(err)
	}
	h := guard.Wrap("/orders", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	for authorization, want := range map[string]int{
		"Bearer " + token: 403, "bearer stolen-token": 401, "": 401, "Basic eDp5": 401,
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/orders", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: status %d, want %d", authorization, w.Code, want)
		}
	}

	spans := make(map[string]map[string]any)
	for _, s := range rec.Spans() {
		if s.Name != "authenticate bearer" {
			t.Errorf("span %q", s.Name)
		}
		attrs := otelauthtest.Attributes(s.Attributes).Map()
		spans[fmt.Sprint(attrs["auth.outcome"], attrs["auth.scheme"])] = attrs
	}
	common := map[string]any{"client.address": "192.0.2.1", "http.route": "/orders", "http.request.method": "GET"}
	want := map[string]map[string]any{
		"successbearer": with(common, "auth.scheme", "bearer", "auth.outcome", "success", "user.name", "shop"),
		"failurebearer": with(common, "auth.scheme", "bearer", "auth.outcome", "failure",
			"error.type", "invalid_credentials", "auth.reason", "unknown_token"),
		"missingnone":  with(common, "auth.scheme", "none", "auth.outcome", "missing"),
		"missingother": with(common, "auth.scheme", "other", "auth.outcome", "missing", "error.type", "unsupported_scheme"),
	}
	if diff := cmp.Diff(want, spans); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}

	bearerScheme := attribute.String("auth.scheme", "bearer")
	for outcome, n := range map[string]float64{"success": 1, "failure": 1} {
		if got := rec.Sum("auth.attempts", bearerScheme, attribute.String("auth.outcome", outcome)); got != n {
			t.Errorf("auth.attempts of %s: %v, want %v", outcome, got, n)
		}
	}
	if got := rec.Sum("auth.responses.denied", attribute.Int("http.response.status_code", 403)); got != 1 {
		t.Errorf("auth.responses.denied: %v, want 1", got)
	}
	otelauthtest.NoSecrets(t, rec, token, "stolen-token")
}

func with(common map[string]any, pairs ...string) map[string]any {
	m := make(map[string]any)
	for k, v := range common {
		m[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func TestDuplicateFieldIsMalformed(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	guard, err := bearer.New(tokens(), rec.TracerProvider(), rec.MeterProvider())
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/orders", nil)
	r.Header["Authorization"] = []string{"Bearer " + token, "Bearer x"}
	w := httptest.NewRecorder()
	guard.Wrap("/orders", http.NotFoundHandler()).ServeHTTP(w, r)
	if w.Code != 400 {
		t.Errorf("status %d, want 400", w.Code)
	}
}
