// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"runtime"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

func newOperator(t testing.TB, cfg operator.Config) *operator.Operator {
	t.Helper()
	o, err := operator.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

// guess returns a wrong guess at a name, with a server span.
func guess(name string) (context.Context, *attempt.Request, *attempt.Result) {
	ctx := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2},
	}))
	req := &attempt.Request{
		Context: ctx, Time: time.Now(), Scheme: attempt.SchemeBasic, Route: "/orders/{id}", Method: "GET",
		Client: netip.MustParseAddr("198.51.100.66"),
	}
	res := &attempt.Result{
		Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Reason: attempt.ReasonUnknownUser,
		Cache: attempt.Miss, UserHash: "k1:" + name, Duration: time.Millisecond,
	}
	return ctx, req, res
}

// TestEndAllocatesNothing holds what an attempt costs.
func TestEndAllocatesNothing(t *testing.T) {
	if testkit.Race {
		return // the race detector allocates
	}
	o := newOperator(t, operator.Config{})
	ctx, req, res := guess("mallory")
	resp := &attempt.Response{Status: 401}
	o.End(ctx, req, res, resp) // the first attempt of an endpoint allocates its counts
	if n := testing.AllocsPerRun(1000, func() { o.End(ctx, req, res, resp) }); n != 0 {
		t.Errorf("End allocates %v times, want 0", n)
	}
}

// BenchmarkEnd measures what an attempt costs on the path of a request.
func BenchmarkEnd(b *testing.B) {
	ctx, req, res := guess("mallory")
	resp := &attempt.Response{Status: 401}
	b.Run("one", func(b *testing.B) {
		o := newOperator(b, operator.Config{})
		b.ReportAllocs()
		for b.Loop() {
			o.End(ctx, req, res, resp)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		o := newOperator(b, operator.Config{})
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				o.End(ctx, req, res, resp)
			}
		})
	})
}

// TestHostileNames sends a million names and finds the episode, the success and the error from
// before, in bounded memory. It measures the heap, so it runs alone.
func TestHostileNames(t *testing.T) {
	names := 1_000_000
	if testkit.Race {
		names = 50_000
	}
	s := newService(t, operator.Config{}, nil)
	c := s.client(operator.ClientConfig{})
	s.login(laptop, "alice", alicePassword)
	s.op.Detection(detect.Detection{
		Rule: detect.Rules()[0], Phase: detect.Start, Episode: 7, Time: s.clock.Now(), First: s.clock.Now(), Last: s.clock.Now(),
		Attempts: 30, Accounts: []string{"alice"}, AccountCount: 1,
	})
	ctx, req, res := guess("")
	resp := &attempt.Response{Status: 401}
	send := func(from, to int) {
		for i := from; i < to; i++ {
			res.UserHash = fmt.Sprintf("k1:%032x", i)
			req.Route = fmt.Sprintf("/%d", i%1000) // a router that returns paths as routes
			s.op.End(ctx, req, res, resp)
		}
	}
	send(0, names/2)
	before := heap()
	send(names/2, names)
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("the second half of the names has taken %d bytes", grown)
	}
	l, err := c.Episodes(t.Context(), nil)
	if err != nil || len(l.Episodes) != 1 || l.Episodes[0].ID != "0000000000000007" || !l.Episodes[0].Running {
		t.Errorf("the episodes are %v %+v", err, l.Episodes)
	}
	a, err := c.Attempts(t.Context(), map[string][]string{"account": {"alice"}})
	if err != nil || len(a.Attempts) != 1 {
		t.Errorf("the attempts of alice are %v %+v", err, a.Attempts)
	}
	st, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range st.Tables {
		if table.Limit > 0 && table.Used > table.Limit {
			t.Errorf("the table %s holds %d of %d", table.Name, table.Used, table.Limit)
		}
	}
	traffic, err := c.Traffic(t.Context(), nil)
	if err != nil || len(traffic.Endpoints) > 257 || st.Outcomes[3].Total != uint64(names) {
		t.Errorf("%v: %d endpoints, %d failures", err, len(traffic.Endpoints), st.Outcomes[3].Total)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestManyEpisodes keeps the running ones and the most severe of 10,000 episodes.
func TestManyEpisodes(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{}, nil)
	c := s.client(operator.ClientConfig{})
	high, low := ruleOf(t, detect.High), ruleOf(t, detect.Low)
	add := func(rule detect.Rule, id uint64, phase detect.Phase) {
		at := s.clock.Advance(time.Second)
		s.op.Detection(detect.Detection{Rule: rule, Phase: phase, Episode: id, Time: at, First: at, Last: at, Attempts: 1})
	}
	add(high, 1, detect.Start)
	add(high, 2, detect.Start)
	add(high, 2, detect.End)
	for i := range uint64(10_000) {
		add(low, i+10, detect.Start)
		add(low, i+10, detect.End)
	}
	l, err := c.Episodes(t.Context(), map[string][]string{"severity": {"high"}})
	if err != nil || len(l.Episodes) != 2 || !l.Episodes[0].Running || l.Episodes[1].Running {
		t.Errorf("the severe episodes are %v %+v", err, l.Episodes)
	}
	if l, err = c.Episodes(t.Context(), map[string][]string{"limit": {"1000"}, "state": {"past"}}); err != nil || len(l.Episodes) != 1000 || !l.More || l.Forgotten != 10_001-2048 {
		t.Errorf("%v: %d past episodes, more %v, %d forgotten", err, len(l.Episodes), l.More, l.Forgotten)
	}
}

// TestPagesOfEpisodes reads 10,000 running episodes, each once, in pages of 1,000.
func TestPagesOfEpisodes(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{}, nil)
	c := s.client(operator.ClientConfig{})
	rule := ruleOf(t, detect.High)
	for i := range uint64(10_000) {
		at := s.clock.Advance(time.Second)
		s.op.Detection(detect.Detection{Rule: rule, Episode: i + 1, Time: at, First: at, Last: at, Attempts: 1, PartOf: 7})
	}
	seen := map[string]bool{}
	for page := 0; ; page++ {
		q := url.Values{"limit": {"1000"}}
		if page > 0 {
			q.Set("offset", fmt.Sprint(1000*page))
		}
		l, err := c.Episodes(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range l.Episodes {
			if seen[e.ID] || e.PartOf != "0000000000000007" {
				t.Fatalf("page %d: %+v", page, e)
			}
			seen[e.ID] = true
		}
		if !l.More {
			break
		}
	}
	if len(seen) != 10_000 {
		t.Errorf("%d episodes, want 10,000", len(seen))
	}
}

func ruleOf(t *testing.T, s detect.Severity) detect.Rule {
	t.Helper()
	for _, r := range detect.Rules() {
		if r.Severity == s {
			return r
		}
	}
	t.Fatalf("no rule has the severity %v", s)
	return detect.Rule{}
}

// TestEpisodesOfDetection is an attack that the detector finds.
func TestEpisodesOfDetection(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{}, nil)
	c := s.client(operator.ClientConfig{})
	for i := range 40 {
		s.clock.Advance(time.Minute)
		s.login(attacker, fmt.Sprintf("user%d", i), "Winter2026!")
	}
	testkit.Eventually(t, "an episode", func() bool {
		l, err := c.Episodes(t.Context(), map[string][]string{"network": {attacker}, "state": {"running"}})
		return err == nil && len(l.Episodes) > 0 && len(l.Episodes[0].TraceIDs) > 0
	})
}

func TestConfigErrors(t *testing.T) {
	t.Parallel()
	for _, cfg := range []operator.Config{{Attempts: 1}, {Attempts: 1 << 21}, {Watchers: -1}} {
		if _, err := operator.New(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}
