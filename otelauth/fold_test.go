// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// TestFloodIsFolded checks that a flood leaves few events, exact metrics that agree with them, and
// samples that are traces, and that Close flushes the folded events.
func TestFloodIsFolded(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	var hook int64
	mw := newMiddleware(t, otelauth.Config{
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
		Events: audit.Events{
			Success:    audit.FirstSuccess,
			Suppressed: func(_ context.Context, s attempt.Suppression) { hook += s.Count },
		},
	})
	served := mw.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	const failures, successes = 200, 50
	for range failures {
		served.ServeHTTP(httptest.NewRecorder(), request(t, "GET", "/", "alice", "open-sesame-7"))
	}
	for range successes {
		served.ServeHTTP(httptest.NewRecorder(), request(t, "GET", "/", "alice", "wonderland"))
	}
	if err := mw.Close(); err != nil {
		t.Fatal(err)
	}
	otelauthtest.NoSecrets(t, rec, "open-sesame-7", "wonderland")
	traces := map[string]bool{}
	for _, s := range rec.Spans() {
		traces[s.SpanContext.TraceID().String()] = true
	}
	recorded, folded := map[string]int64{}, map[string]int64{}
	for _, e := range rec.Events() {
		outcome := e.Attribute("auth.outcome")
		switch e.Name() {
		case semconv.EventAttempt:
			recorded[outcome]++
		case semconv.EventEventsSuppressed:
			folded[outcome] += e.Attributes().Get(semconv.KeyEventsSuppressedCount).AsInt64()
			samples := e.Attributes().Get(semconv.KeyEventsSuppressedTraceIDs).AsStringSlice()
			if len(samples) != audit.MaxTraces {
				t.Errorf("%d sample traces", len(samples))
			}
			for _, id := range samples {
				if !traces[id] {
					t.Errorf("the sample %s is not a trace", id)
				}
			}
		}
	}
	for outcome, total := range map[string]int64{"failure": failures, "success": successes} {
		kv := attribute.String("auth.outcome", outcome)
		attempts, suppressed := rec.Sum("auth.attempts", kv), rec.Sum("auth.events.suppressed", kv)
		if attempts != float64(total) || recorded[outcome]+folded[outcome] != total || suppressed != float64(folded[outcome]) || folded[outcome] == 0 {
			t.Errorf("%s: %v attempts counted of %d, %d recorded, %d folded, %v counted as suppressed",
				outcome, attempts, total, recorded[outcome], folded[outcome], suppressed)
		}
	}
	if hook != folded["failure"]+folded["success"] {
		t.Errorf("the hook was called for %d", hook)
	}
}

// TestCloseAfterReconfigure: an attempt that ends after its configuration was replaced is folded
// there, and Close emits it.
func TestCloseAfterReconfigure(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	cfg := otelauth.Config{
		Accounts: accounts(t), LoggerProvider: rec.LoggerProvider(), Events: audit.Events{Success: audit.FirstSuccess},
	}
	mw := newMiddleware(t, cfg)
	begun, release := make(chan struct{}), make(chan struct{})
	served := mw.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(begun)
			<-release
		}
	}))
	serve := func(path string) {
		served.ServeHTTP(httptest.NewRecorder(), request(t, "GET", path, "alice", "wonderland"))
	}
	serve("/")
	ended := make(chan struct{})
	go func() { defer close(ended); serve("/slow") }()
	<-begun
	if err := mw.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	close(release)
	<-ended
	if err := mw.Close(); err != nil {
		t.Fatal(err)
	}
	var recorded, folded int64
	for _, e := range rec.Events() {
		switch e.Name() {
		case semconv.EventAttempt:
			recorded++
		case semconv.EventEventsSuppressed:
			folded += e.Attributes().Get(semconv.KeyEventsSuppressedCount).AsInt64()
		}
	}
	if recorded != 1 || folded != 1 {
		t.Errorf("%d recorded and %d folded, want 1 and 1", recorded, folded)
	}
}

func TestEventsAreValidated(t *testing.T) {
	t.Parallel()
	_, err := otelauth.New(otelauth.Config{Accounts: accounts(t), Events: audit.Events{Burst: -1}})
	if err == nil || err.Error() != "otelauth: Config.Events: audit: Events.Burst is -1; choose 1 to 10000, or 0 for 20" {
		t.Errorf("%v", err)
	}
}
