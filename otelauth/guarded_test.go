// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// from returns a request over TLS from addr.
func from(t *testing.T, addr, name, pass string) *http.Request {
	t.Helper()
	r := request(t, "GET", "https://orders.example/orders", name, pass)
	r.RemoteAddr = addr + ":40000"
	return r
}

// By default guesses are charged, and the owner still logs in from a known network.
func TestGuessesAreChargedByDefault(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, nil)
	const home, away = "192.0.2.7", "198.51.100.9"
	if w := s.do(from(t, home, "alice", "wonderland")); w.Code != 200 {
		t.Fatalf("the owner: %d", w.Code)
	}
	budget := throttle.DefaultLimits().NewPair.Burst
	for i := range budget + 5 {
		w := s.do(from(t, away, "alice", fmt.Sprint("guess", i)))
		want := 401
		if i >= budget {
			want = 429
		}
		if w.Code != want || (w.Header().Get("Retry-After") != "") != (want == 429) {
			t.Errorf("guess %d: %d, Retry-After %q, want %d", i+1, w.Code, w.Header().Get("Retry-After"), want)
		}
	}
	if w := s.do(from(t, away, "alice", "wonderland")); w.Code != 429 {
		t.Errorf("the right password in a throttled dictionary: %d", w.Code)
	}
	if w := s.do(from(t, home, "alice", "wonderland")); w.Code != 200 {
		t.Errorf("the owner meanwhile: %d", w.Code)
	}

	// An operator clears the budget, and the change is recorded.
	network := netip.MustParsePrefix(away + "/32")
	who := throttle.Subject{Account: "alice", Network: network}
	if err := s.mw.Budgets().Clear(t.Context(), who, throttle.Act{By: "carol", Why: "it was alice's new phone"}); err != nil {
		t.Fatal(err)
	}
	if w := s.do(from(t, away, "alice", "wonderland")); w.Code != 200 {
		t.Errorf("after Clear: %d", w.Code)
	}
	recorded := 0
	for _, e := range s.Events() {
		if e.Name() == string(attempt.ThrottleChanged) {
			recorded++
			if e.Attribute("auth.throttle.actor") != "carol" || e.Attribute("user.hash") == "" {
				t.Errorf("recorded %v", e.Attributes())
			}
		}
	}
	if recorded != 1 {
		t.Errorf("%d events of the change, want 1", recorded)
	}
}

func TestRequestsWithoutCredentialsCanHaveABudget(t *testing.T) {
	t.Parallel()
	budgets := throttle.DefaultLimits()
	budgets.Requests = throttle.Limit{Burst: 2, Every: time.Hour}
	th, err := throttle.New(throttle.Config{Limits: budgets})
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, otelauth.Config{Throttle: th}, nil)
	for i, want := range []int{401, 401, 429} {
		if w := s.do(from(t, "192.0.2.7", "", "")); w.Code != want {
			t.Errorf("request %d: %d, want %d", i+1, w.Code, want)
		}
	}
	if w := s.do(from(t, "192.0.2.7", "alice", "wonderland")); w.Code != 200 {
		t.Errorf("credentials: %d", w.Code)
	}
	if s.mw.Budgets() != th {
		t.Error("Budgets does not return the configured ones")
	}
}

// Close reports pending detections before it returns, and a callback for one may call Budgets.
func TestCloseReportsDetections(t *testing.T) {
	t.Parallel()
	var s *service
	s = newService(t, otelauth.Config{Detect: detect.Config{
		Thresholds: detect.Thresholds{BruteForcePasswords: 2, RunBeforeSuccess: 2},
		OnDetection: func(d detect.Detection) {
			who := throttle.Subject{Account: d.Accounts[0]}
			if err := s.mw.Budgets().Deny(context.Background(), who, throttle.Act{By: "OnDetection", Why: d.Rule.Name}); err != nil {
				t.Error(err)
			}
		},
	}}, nil)
	for i := range 2 {
		s.do(from(t, "198.51.100.9", "alice", fmt.Sprint("guess", i)))
	}
	if err := s.mw.Close(); err != nil {
		t.Fatal(err)
	}
	recorded := map[string]int{}
	for _, e := range s.Events() {
		recorded[e.Name()]++
	}
	if recorded[authconv.EventDetection] != 1 || recorded[string(attempt.ThrottleChanged)] != 1 {
		t.Errorf("recorded %v", recorded)
	}
}

// By default the attempts of an attack are detected.
func TestGuessesAreDetectedByDefault(t *testing.T) {
	t.Parallel()
	found := make(chan detect.Detection, 16)
	s := newService(t, otelauth.Config{Detect: detect.Config{OnDetection: func(d detect.Detection) { found <- d }}}, nil)
	for i := range 40 {
		s.do(from(t, "198.51.100.9", "alice", fmt.Sprint("guess", i)))
	}
	deadline := time.After(30 * time.Second)
	for {
		select {
		case d := <-found:
			if d.Rule.Name != "brute_force" {
				continue
			}
			for _, e := range s.Events() {
				if e.Name() == "auth.detection" && e.Attribute("security_rule.name") == "brute_force" {
					return
				}
			}
			t.Fatal("the detection left no event")
		case <-deadline:
			t.Fatal("40 wrong passwords for one account from one network, and no detection")
		}
	}
}

// The success that completes an attack is marked in its own trace, as a child of the server span,
// so that tail sampling keeps it.
func TestDetectionMarksTheTrace(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{Detect: detect.Config{
		Thresholds: detect.Thresholds{BruteForcePasswords: 2, RunBeforeSuccess: 2},
		Off:        []string{detect.BruteForce},
	}}, nil)
	for i := range 3 {
		s.do(from(t, "198.51.100.9", "alice", fmt.Sprint("guess", i)))
	}
	s.do(from(t, "198.51.100.9", "alice", "wonderland"))
	right := s.last(t)
	if right.Outcome != attempt.Success {
		t.Fatal("the right password was refused")
	}
	if err := s.mw.Close(); err != nil {
		t.Fatal(err)
	}
	server := s.serverSpan(t, right.TraceID)
	var marks []otelauthtest.Span
	for _, span := range s.Spans() {
		if span.Name == authconv.SpanDetection {
			marks = append(marks, span)
		}
	}
	if len(marks) != 1 || marks[0].Attribute("security_rule.name") != detect.SuccessAfterFailures ||
		marks[0].Parent.SpanID() != server.SpanContext.SpanID() || marks[0].SpanContext.TraceID() != server.SpanContext.TraceID() {
		t.Errorf("marks %+v; want one child of %s", marks, server.SpanContext.SpanID())
	}
	// A rule without a detection has the value 0, a disabled rule has no series.
	series := map[string]float64{}
	for _, p := range s.Metrics() {
		if p.Name == authconv.MetricDetections || p.Name == authconv.MetricDetectionDropped {
			series[p.Attributes.Text("security_rule.name")] = p.Value
		}
	}
	want := map[string]float64{"": 0}
	for _, r := range detect.Rules() {
		if !r.Optional {
			want[r.Name] = 0
		}
	}
	delete(want, detect.BruteForce)
	want[detect.SuccessAfterFailures] = 1
	equal(t, "auth.detections by rule, and auth.detection.dropped", series, want)
}

// The budgets that the Middleware creates use Config.Now.
func TestTheInjectedClockReachesTheBudgets(t *testing.T) {
	t.Parallel()
	clock := otelauthtest.NewClock(time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC))
	s := newService(t, otelauth.Config{Now: clock.Now}, nil)
	const away = "198.51.100.9"
	try := func(pass string) int { return s.do(from(t, away, "alice", pass)).Code }
	for i := range throttle.DefaultLimits().NewPair.Burst {
		if code := try(fmt.Sprint("guess", i)); code != 401 {
			t.Fatalf("guess %d: %d", i, code)
		}
	}
	if code := try("more"); code != 429 {
		t.Fatalf("beyond the budget: %d", code)
	}
	if l := s.mw.Budgets().List(); len(l) != 1 || !l[0].First.Equal(clock.Now()) {
		t.Errorf("listed %+v, want a refusal at %v", l, clock.Now())
	}
	clock.Advance(time.Minute)
	if code := try("a minute later"); code != 401 {
		t.Errorf("a minute later: %d, want one more guess", code)
	}
}
