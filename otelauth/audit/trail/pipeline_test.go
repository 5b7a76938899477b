// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/semconvgen/recorded"
	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// counted is a verifier that knows alice and counts its calls.
type counted struct{ calls atomic.Int64 }

func (c *counted) Verify(_ context.Context, name string, password credential.Secret) (*verify.Account, error) {
	c.calls.Add(1)
	if name == "alice" && string(password.Expose()) == "wonderland" {
		return &verify.Account{Name: name}, nil
	}
	return nil, nil
}

// service is a handler behind a Middleware with a trail.
type service struct {
	*rig
	http.Handler
	verifier *counted
}

func newService(t *testing.T, cfg trail.Config, change func(*otelauth.Config)) *service {
	t.Helper()
	s := &service{rig: newRig(t, cfg), verifier: new(counted)}
	auth := otelauth.Config{
		Verifier: s.verifier, Trail: s.Trail,
		TracerProvider: s.rec.TracerProvider(), MeterProvider: s.rec.MeterProvider(), LoggerProvider: s.rec.LoggerProvider(),
	}
	if change != nil {
		change(&auth)
	}
	mw, err := otelauth.New(auth)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mw.Close() })
	s.Handler = mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	return s
}

func (s *service) get(name, password string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, "/orders/7", nil)
	r.RemoteAddr = "127.0.0.1:40000"
	if name != "" {
		r.SetBasicAuth(name, password)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result()
}

// While a required trail cannot write, no credentials are verified, right or wrong, and the other
// observers record the attempt.
func TestRefusedBeforeHashing(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*otelauth.Config){
		"Config.Trail":     nil,
		"Config.Observers": func(c *otelauth.Config) { c.Observers, c.Trail = []attempt.Observer{c.Trail}, nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, trail.Config{}, change)
			if got := s.get("alice", "wonderland").StatusCode; got != http.StatusTeapot {
				t.Fatalf("the status is %d", got)
			}
			s.disk.ReadOnly(true)
			if got := s.get("alice", "wonderland").StatusCode; got != http.StatusServiceUnavailable {
				t.Errorf("the status is %d on a read-only disk", got)
			}
			before := s.verifier.calls.Load()
			for _, password := range []string{"wonderland", "looking-glass"} {
				if got := s.get("alice", password).StatusCode; got != http.StatusServiceUnavailable {
					t.Errorf("the status is %d while the trail is down", got)
				}
			}
			if got := s.verifier.calls.Load(); got != before {
				t.Errorf("%d credentials were verified while the trail was down", got-before)
			}
			if got := s.get("", "").StatusCode; got != http.StatusUnauthorized {
				t.Errorf("the status is %d without credentials", got)
			}
			s.disk.ReadOnly(false)
			if err := s.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := s.get("alice", "wonderland").StatusCode; got != http.StatusTeapot {
				t.Errorf("the status is %d after the disk is writable again", got)
			}
			if name == "Config.Trail" {
				unavailable := 0
				for _, a := range s.rec.Attempts() {
					if a.ErrorType == attempt.TrailUnavailable {
						unavailable++
					}
				}
				if unavailable != 3 {
					t.Errorf("%d attempts are recorded as trail_unavailable", unavailable)
				}
			}
			s.close(t)
			if err := s.verify(t); err != nil {
				t.Error(err)
			}
		})
	}
}

// The line of an attempt is on disk when the handler runs, with the ids of its trace; the line of
// its response follows.
func TestLineOfAnAttempt(t *testing.T) {
	t.Parallel()
	s := newService(t, trail.Config{Responses: true}, nil)
	s.get("alice", "wonderland")
	s.get("alice", "looking-glass")
	s.get("mallory", "looking-glass")
	s.close(t)
	text := s.text()
	for _, want := range []string{
		`"auth.outcome":"success","user.name":"alice","user.hash":"`, `"auth.reason":"wrong_password"`, `"auth.trail.attempt":3`,
		`"event":"auth.trail.response","trace_id":"`, `"auth.outcome":"success","http.response.status_code":418`, `"url.path":"/orders/7"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no line has %s:\n%s", want, text)
		}
	}
	if strings.Count(text, `"trace_id"`) != 6 || strings.Contains(text, "mallory") {
		t.Errorf("the lines are\n%s", text)
	}
}

// Invariant 1: no line has a secret.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	s := newService(t, trail.Config{Responses: true}, nil)
	const right, wrong, typed = "wonderland", "wrong-canary-Xw3", "typed-canary-Lm9"
	s.get("alice", right)
	s.get("alice", wrong)
	s.get(typed, wrong)
	s.disk.ReadOnly(true)
	s.get("alice", right)
	s.disk.ReadOnly(false)
	s.close(t)
	for name, data := range s.disk.Files() {
		for _, secret := range []string{right, wrong, typed, s.key.Private()} {
			if strings.Contains(string(data), secret) {
				t.Errorf("%s has %q", name, secret)
			}
		}
	}
	otelauthtest.NoSecrets(t, s.rec, right, wrong, typed)
}

// The trail emits every signal that trail.yaml in the registry declares.
func TestRegistryIsEmitted(t *testing.T) {
	t.Parallel()
	notices := make(chan attempt.Notice, 64)
	r := newRig(t, trail.Config{Notify: func(_ context.Context, n attempt.Notice) { notices <- n }})
	r.disk.ReadOnly(true)
	_ = decide(r.Trail, "/refused", attempt.Success)
	r.disk.ReadOnly(false)
	if err := r.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.rec.Metrics() // the gauges of the trail
	recordedBefore, all := recorded.Check(t, r.rec)
	r.close(t)
	if n := testkit.Receive(t, "a notice", notices); n.Kind != attempt.TrailAnomaly || n.Err == nil || n.Source != "/trail" || n.Message == "" {
		t.Errorf("the notice is %+v", n)
	}
	_, more := recorded.Check(t, r.rec)
	lines := []string{semconv.EventTrailSegment, semconv.EventTrailKey, semconv.EventTrailPrune, semconv.EventTrailResponse}
	for _, problem := range recordedBefore.Unseen(append(all, more...), func(g *registry.Group) bool {
		for _, line := range lines {
			if g.ID == "event."+line {
				return true
			}
		}
		return g.File != "trail.yaml"
	}) {
		t.Error(problem)
	}
}

// Each kind of anomaly is declared in the registry, and the other way round.
func TestAnomalyKinds(t *testing.T) {
	t.Parallel()
	r, err := registry.Open()
	if err != nil {
		t.Fatal(err)
	}
	declared := make(map[string]bool)
	for _, m := range r.Own(semconv.KeyTrailAnomalyKind).Type.Members {
		declared[m.Value] = true
		if trail.AnomalyText(m.Value) == "" {
			t.Errorf("%s is not a kind of anomaly", m.Value)
		}
	}
	for _, kind := range trail.AnomalyKinds() {
		if !declared[kind] {
			t.Errorf("%s is not declared in otelauth/semconv/registry/trail.yaml", kind)
		}
	}
}

// A flood of denials is folded into counts that add up; the daily bound leaves only the counts of
// all networks.
func TestFolding(t *testing.T) {
	t.Parallel()
	r := newRig(t, trail.Config{})
	const attempts = 500
	for i := range attempts {
		_ = decide(r.Trail, fmt.Sprint("/", i), attempt.Failure)
	}
	r.Flush()
	r.close(t)
	lines := strings.Count(r.text(), `"event":"auth.attempt"`)
	if lines != 20 || !strings.Contains(r.text(), fmt.Sprintf(`"auth.events.suppressed.count":%d,`, attempts-lines)) {
		t.Errorf("%d lines:\n%s", lines, r.text())
	}
}

func TestDailyBound(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var days atomic.Int64
	r := newRig(t, trail.Config{
		Durability: trail.Ordered, DailyBytes: 1 << 20, QueueEntries: 1 << 20,
		Now: func() time.Time { return now.AddDate(0, 0, int(days.Load())) },
	})
	denials, written := int64(0), 0
	for ; written < 1<<20; denials++ {
		r.Notice(t.Context(), attempt.Notice{}) // not counted
		resp := &attempt.Response{Status: 403}
		req := attempt.Request{Context: t.Context(), Time: now, Path: "/" + strings.Repeat("x", 1000), Client: address(denials)}
		r.Anonymous(t.Context(), &req, resp)
		written += 900
	}
	for range 100 {
		req := attempt.Request{Context: t.Context(), Time: now, Client: address(1)}
		res := attempt.Result{Outcome: attempt.Failure}
		if err := r.Decide(t.Context(), &req, &res); err != nil {
			t.Fatal(err)
		}
	}
	if err := decide(r.Trail, "/success", attempt.Success); err != nil {
		t.Fatal(err)
	}
	r.Flush()
	days.Store(1) // denials have lines again
	req := attempt.Request{Context: t.Context(), Time: now.AddDate(0, 0, 1), Client: address(1 << 20), Path: "/tomorrow"}
	if err := r.Decide(t.Context(), &req, &attempt.Result{Outcome: attempt.Failure}); err != nil {
		t.Fatal(err)
	}
	r.close(t)
	text := r.text()
	for _, want := range []string{`"daily_bound"`, "/success", `"auth.events.suppressed.count":100,`, "/tomorrow"} {
		if !strings.Contains(text, want) {
			t.Errorf("no line has %s", want)
		}
	}
	if got := r.kinds(); !slices.Contains(got, "daily_bound") {
		t.Errorf("the anomalies are %v", got)
	}
}

// Ordered costs at most two allocations for an attempt.
func TestAllocations(t *testing.T) {
	if testkit.Race { // the race detector allocates
		return
	}
	tr := open(t, trail.Config{Durability: trail.Ordered, QueueEntries: 1 << 20})
	req, res := success()
	if got := testing.AllocsPerRun(10_000, func() { _ = tr.Decide(req.Context, &req, &res) }); got > 2 {
		t.Errorf("%v allocations", got)
	}
}
