// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// traced returns an exporter and a provider that samples like the parent, as in most services.
func traced(t testing.TB) (*tracetest.InMemoryExporter, *sdktrace.TracerProvider) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	return spans, sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
}

func tracing(tp trace.TracerProvider) func(*detect.Config) {
	return func(cfg *detect.Config) { cfg.TracerProvider = tp }
}

// span returns server span number n of a test, in its own trace.
func span(n int, flags trace.TraceFlags) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1, 15: byte(n)}, SpanID: trace.SpanID{2, 7: byte(n)}, TraceFlags: flags,
	})
}

// alice sends one attempt of alice in ctx; password 0 is the right one.
func (w *watch) alice(ctx context.Context, from string, password uint64) {
	w.t.Helper()
	req, res := aliceFrom(ctx, w.now, from, password)
	w.decide(req, res)
}

func aliceFrom(ctx context.Context, at time.Time, from string, password uint64) (*attempt.Request, *attempt.Result) {
	req := &attempt.Request{Context: ctx, Time: at, Scheme: attempt.SchemeBasic, Client: netip.MustParseAddr(from), Route: "/orders"}
	res := &attempt.Result{Outcome: attempt.Success, UserName: "alice", UserHash: "k:alice", PasswordFingerprint: password, Duration: time.Millisecond}
	if password != 0 {
		res.Outcome, res.ErrorType, res.Reason = attempt.Failure, attempt.InvalidCredentials, attempt.ReasonWrongPassword
	}
	return req, res
}

// TestSpan checks the whole span. The attempt that starts an episode has one, later guesses have
// none, and the success that completes it has one.
func TestSpan(t *testing.T) {
	t.Parallel()
	spans, tp := traced(t)
	w := newWatch(t, tracing(tp), quietBurst)
	under := func(n int) context.Context {
		return trace.ContextWithSpanContext(t.Context(), span(n, trace.FlagsSampled))
	}
	started := 0
	for i := range 70 { // so that there is an update too
		if w.alice(under(i+1), "198.51.100.9", uint64(i+1)); started == 0 && len(w.found) > 0 {
			started = i + 1
		}
		w.now = w.now.Add(time.Second)
	}
	right := w.now
	w.now = w.now.Add(80 * time.Millisecond) // the delay of Run
	req, res := aliceFrom(under(100), right, "198.51.100.9", 0)
	w.decide(req, res)

	var want []tracetest.SpanStub
	for _, d := range w.found {
		if d.Phase == detect.Start {
			want = append(want, tracetest.SpanStub{Name: d.Rule.Name})
		}
	}
	got := spans.GetSpans()
	if len(got) != 2 || len(want) != 2 || want[0].Name != detect.BruteForce || want[1].Name != detect.SuccessAfterFailures {
		t.Fatalf("%d spans; found %v", len(got), w.found)
	}
	for i, s := range got {
		parent := span([]int{started, 100}[i], trace.FlagsSampled)
		if s.Name != "auth.detection" || s.SpanKind != trace.SpanKindInternal || s.InstrumentationScope.Name != detect.ScopeName {
			t.Errorf("%s %v of %s", s.Name, s.SpanKind, s.InstrumentationScope.Name)
		}
		if !s.Parent.Equal(parent) || s.SpanContext.TraceID() != parent.TraceID() {
			t.Errorf("%s: a child of %+v, want of %+v", want[i].Name, s.Parent, parent)
		}
		attributes := map[string]any{}
		for _, kv := range s.Attributes {
			attributes[string(kv.Key)] = kv.Value.AsInterface()
		}
		var episode uint64
		for _, d := range w.found {
			if d.Phase == detect.Start && d.Rule.Name == want[i].Name {
				episode = d.Episode
			}
		}
		if d := cmp.Diff(map[string]any{ // no name, no address
			"security_rule.name": want[i].Name, "auth.detection.severity": "high", "auth.detection.episode": fmt.Sprintf("%016x", episode),
		}, attributes); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
	}
	last := got[1]
	if !last.StartTime.Equal(right.Add(res.Duration)) || last.EndTime.Sub(right) != 80*time.Millisecond {
		t.Errorf("from %v to %v after the attempt", last.StartTime.Sub(right), last.EndTime.Sub(right))
	}
}

// TestSpanOfEachSuccess: each success for which a rule fires has a span, also while the episode
// is open.
func TestSpanOfEachSuccess(t *testing.T) {
	t.Parallel()
	spans, tp := traced(t)
	w := newWatch(t, tracing(tp))
	w.live(8, "alice", "")
	for i, from := range []string{"198.51.100.9", "198.51.100.9", "203.0.113.9", "203.0.113.9"} {
		w.alice(trace.ContextWithSpanContext(t.Context(), span(i+1, trace.FlagsSampled)), from, 0)
		w.pass(time.Minute)
	}
	if n := w.starts(""); n != 1 || w.starts(detect.NewNetwork) != 1 {
		t.Fatalf("%d episodes", n)
	}
	var parents []trace.SpanID
	for _, s := range spans.GetSpans() {
		parents = append(parents, s.Parent.SpanID())
	}
	if d := cmp.Diff([]trace.SpanID{span(1, 0).SpanID(), span(3, 0).SpanID()}, parents); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestSpanParent: the parent is the server span, else the span of the attempt, else there is no
// span. It is sampled like its parent.
func TestSpanParent(t *testing.T) {
	t.Parallel()
	server, own := span(1, trace.FlagsSampled), span(2, trace.FlagsSampled)
	remote, unsampled := span(3, trace.FlagsSampled).WithRemote(true), span(4, 0)
	for name, tc := range map[string]struct {
		server, own trace.SpanContext
		want        trace.SpanContext // the zero SpanContext: no span
	}{
		"server span and own":   {server, own, server},
		"server span":           {server: server, want: server},
		"own span":              {own: own, want: own},
		"client's span and own": {remote, own, own},
		"client's span":         {server: remote},
		"no span":               {},
		"unsampled server span": {server: unsampled},
		"unsampled own span":    {own: unsampled},
	} {
		spans, tp := traced(t)
		w := newWatch(t, tracing(tp), quietBurst)
		for i := range 30 {
			req, res := aliceFrom(trace.ContextWithSpanContext(t.Context(), tc.server), w.now, "198.51.100.9", uint64(i+1))
			ctx := req.Context
			if tc.own.IsValid() {
				ctx = trace.ContextWithSpanContext(ctx, tc.own)
				req.Span = trace.SpanFromContext(ctx)
			}
			if err := w.d.Decide(ctx, req, res); err != nil {
				t.Fatal(err)
			}
			w.pass(7 * time.Second)
		}
		if w.starts(detect.BruteForce) != 1 {
			t.Fatalf("%s: found %v", name, w.found)
		}
		got := spans.GetSpans()
		if !tc.want.IsValid() {
			if len(got) != 0 {
				t.Errorf("%s: %d spans", name, len(got))
			}
			continue
		}
		if len(got) != 1 || !got[0].Parent.Equal(tc.want) {
			t.Errorf("%s: %d spans, want one beneath %v", name, len(got), tc.want.SpanID())
		}
	}
}

// TestNoTracer: detections are reported without a TracerProvider too.
func TestNoTracer(t *testing.T) {
	t.Parallel()
	for _, tp := range []trace.TracerProvider{nil, tracenoop.NewTracerProvider()} {
		w := newWatch(t, tracing(tp), quietBurst)
		for i := range 30 {
			w.alice(trace.ContextWithSpanContext(t.Context(), span(1, trace.FlagsSampled)), "198.51.100.9", uint64(i+1))
		}
		if w.starts(detect.BruteForce) != 1 {
			t.Errorf("found %v", w.found)
		}
	}
}

// TestSharedSpan: the process that saw the attempt makes the span, even if another one reports it.
func TestSharedSpan(t *testing.T) {
	t.Parallel()
	for name, alone := range map[string]bool{"with the others": false, "alone": true} {
		_, feeds, fleet := newFleet(t, 2)
		var spans [2]*tracetest.InMemoryExporter
		for i := range fleet { // again, each with its own provider
			exporter, tp := traced(t)
			spans[i] = exporter
			fleet[i] = newWatch(t, tracing(tp), func(cfg *detect.Config) { cfg.Feed, cfg.Rand = feeds[i], dice(i+1) })
		}
		guessed := 0
		guess := func(by int) {
			guessed++
			ctx := trace.ContextWithSpanContext(t.Context(), span(guessed, trace.FlagsSampled))
			fleet[by].alice(ctx, network(guessed), uint64(guessed))
			pass(fleet, 0)
		}
		for range 5 {
			guess(0)
		}
		feeds[1].alone = alone
		for fleet[0].starts(detect.DistributedGuessing)+fleet[1].starts(detect.DistributedGuessing) == 0 && guessed < 30 {
			guess(1)
		}
		if n := fleet[0].starts(detect.DistributedGuessing); (n == 0) != alone {
			t.Fatalf("%s: the leader reported %d times", name, n)
		}
		if n := len(spans[0].GetSpans()); n != 0 {
			t.Errorf("%s: the leader made %d spans for attempts of another process", name, n)
		}
		if got := spans[1].GetSpans(); len(got) != 1 || !got[0].Parent.Equal(span(guessed, trace.FlagsSampled)) {
			t.Errorf("%s: spans %v; want one in the trace of attempt %d", name, got, guessed)
		}
	}
}
