// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

func newObserver(t testing.TB, cfg metrics.Config) *metrics.Observer {
	t.Helper()
	o, err := metrics.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func request() attempt.Request {
	return attempt.Request{
		Context: context.Background(), Time: time.Now(), Scheme: attempt.SchemeBasic, Route: "/orders/{id}", Method: "GET",
		Path: "/orders/7", UserAgent: "curl/8", Client: netip.MustParseAddr("192.0.2.7"),
	}
}

// feed records a point of every instrument.
func feed(t *testing.T, o *metrics.Observer) {
	t.Helper()
	ctx := context.Background()
	req := request()
	for _, res := range []attempt.Result{
		{
			Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Reason: attempt.ReasonWrongPassword, Cache: attempt.Miss,
			UserName: "alice", UserHash: "k1:00", Duration: 62 * time.Millisecond,
			Hash: attempt.HashRun{Scheme: "bcrypt", Start: time.Now(), Duration: 61 * time.Millisecond, Outcome: attempt.Failure},
		},
		{Outcome: attempt.Error, ErrorType: attempt.Overloaded, Reason: attempt.ReasonQueueFull, Cache: attempt.Miss},
		{Outcome: attempt.Success, Cache: attempt.Hit, UserName: "alice", PreviousCredential: true},
	} {
		if err := o.Decide(ctx, &req, &res); err != nil {
			t.Fatal(err)
		}
		o.End(ctx, &req, &res, &attempt.Response{Status: 403, Handler: true})
	}
	o.Anonymous(ctx, &req, &attempt.Response{Status: 200, Handler: true})
	o.Notice(ctx, attempt.Notice{Kind: attempt.AccountReload})
	o.Suppressed(ctx, attempt.Suppression{Event: semconv.EventAttempt, Outcome: attempt.Failure, Count: 7})
	if _, err := o.Watch(func() attempt.State {
		return attempt.State{Accounts: 1, CacheEntries: 2, ThrottleEntries: 3, HashesActive: 4, HashesQueued: 5}
	}); err != nil {
		t.Fatal(err)
	}
}

// moved returns the points that are not 0, because some counters start at 0.
func moved(rec *otelauthtest.Recorder) []otelauthtest.Point {
	return slices.DeleteFunc(rec.Metrics(), func(p otelauthtest.Point) bool { return p.Kind == "counter" && p.Value == 0 })
}

// TestBeginAtZero: counters of rare events start at 0, so rate() sees the first increment.
func TestBeginAtZero(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
	got := map[string]map[string]any{}
	for _, p := range rec.Metrics() {
		if p.Kind != "counter" || p.Value != 0 || len(p.Exemplars) != 0 {
			t.Errorf("%s starts as a %s at %v", p.Name, p.Kind, p.Value)
		}
		got[p.Name] = p.Attributes.Map()
	}
	want := map[string]map[string]any{
		"auth.account.reloads":          {},
		"auth.password.verify.rejected": {"error.type": "overloaded"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestInstruments checks names, kinds, units and attribute keys of all instruments.
func TestInstruments(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	feed(t, newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()}))
	type instrument struct {
		Kind, Unit string
		Keys       []string // of all points together
	}
	const route, status = "http.route", "http.response.status_code"
	want := map[string]instrument{
		"auth.attempts":                  {"counter", "{attempt}", []string{"auth.outcome", "auth.scheme", "error.type", "http.request.method", route}},
		"auth.attempt.duration":          {"histogram", "s", []string{"auth.cache.result", "auth.outcome", "auth.scheme"}},
		"auth.password.verify.duration":  {"histogram", "s", []string{"auth.outcome", "auth.password.scheme"}},
		"auth.password.verify.active":    {"updowncounter", "{verification}", nil},
		"auth.password.verify.queued":    {"updowncounter", "{verification}", nil},
		"auth.password.verify.rejected":  {"counter", "{verification}", []string{"error.type"}},
		"auth.cache.lookups":             {"counter", "{lookup}", []string{"auth.cache.result"}},
		"auth.cache.entry.count":         {"updowncounter", "{entry}", nil},
		"auth.throttle.entry.count":      {"updowncounter", "{entry}", nil},
		"auth.account.count":             {"updowncounter", "{account}", nil},
		"auth.account.reloads":           {"counter", "{reload}", nil},
		"auth.public.responses":          {"counter", "{response}", []string{status, route}},
		"auth.responses.denied":          {"counter", "{response}", []string{"auth.response.denied_by", status, route}},
		"auth.previous_credentials.uses": {"counter", "{attempt}", []string{route}},
		"auth.events.suppressed":         {"counter", "{event}", []string{"auth.outcome"}},
	}
	got := map[string]instrument{}
	for _, p := range rec.Metrics() {
		if p.Scope != metrics.ScopeName || p.Description == "" {
			t.Errorf("%s: scope %q, description %q", p.Name, p.Scope, p.Description)
		}
		i := got[p.Name]
		i.Kind, i.Unit = p.Kind, p.Unit
		for _, kv := range p.Attributes {
			if !slices.Contains(i.Keys, string(kv.Key)) {
				i.Keys = append(i.Keys, string(kv.Key))
			}
		}
		slices.Sort(i.Keys)
		got[p.Name] = i
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestBoundaries(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	feed(t, newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()}))
	for _, p := range rec.Metrics() {
		if p.Kind != "histogram" {
			continue
		}
		lowest := map[string]float64{"auth.attempt.duration": 1e-6, "auth.password.verify.duration": 1e-3}[p.Name]
		if n := len(p.Bounds); n < 15 || n > 20 || p.Bounds[0] != lowest || p.Bounds[n-1] != 10 || !slices.IsSorted(p.Bounds) {
			t.Errorf("%s: bounds %v", p.Name, p.Bounds)
		}
	}
}

// TestAttempts checks the points of every outcome, error type and cache result.
func TestAttempts(t *testing.T) {
	t.Parallel()
	for _, out := range attempt.Outcomes() {
		for _, errType := range attempt.ErrorTypes() {
			for _, cache := range attempt.CacheResults() {
				rec := otelauthtest.NewRecorder(t)
				o := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
				req := request()
				_ = o.Decide(context.Background(), &req, &attempt.Result{
					Outcome: out, ErrorType: errType, Cache: cache, Reason: attempt.ReasonUnknownUser,
					UserName: "alice", UserHash: "k1:00", Duration: 5 * time.Millisecond,
				})
				name := fmt.Sprintf("%v/%v/%v", out, errType, cache)

				attempts := map[string]any{
					"auth.scheme": "basic", "auth.outcome": out.String(), "http.route": "/orders/{id}", "http.request.method": "GET",
				}
				if errType != attempt.NoError && out != attempt.Success {
					attempts["error.type"] = errType.String()
				}
				duration := map[string]any{"auth.scheme": "basic", "auth.outcome": out.String()}
				if cache != attempt.NotLooked {
					duration["auth.cache.result"] = cache.String()
				}
				want := map[string]map[string]any{"auth.attempts": attempts, "auth.attempt.duration": duration}
				if cache != attempt.NotLooked {
					want["auth.cache.lookups"] = map[string]any{"auth.cache.result": cache.String()}
				}
				gaveUp := errType == attempt.Timeout || errType == attempt.Canceled
				if out == attempt.Error && (errType == attempt.Overloaded || gaveUp && cache != attempt.NotLooked) {
					want["auth.password.verify.rejected"] = map[string]any{"error.type": errType.String()}
				}
				got := map[string]map[string]any{}
				for _, p := range moved(rec) {
					got[p.Name] = p.Attributes.Map()
					if p.Kind == "counter" && p.Value != 1 || p.Kind == "histogram" && (p.Count != 1 || p.Value != 0.005) {
						t.Errorf("%s: %s is %v of %d", name, p.Name, p.Value, p.Count)
					}
				}
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("%s (-want +got):\n%s", name, d)
				}
			}
		}
	}
}

func TestUnknownIsLeftOut(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
	req := attempt.Request{Context: context.Background()}
	_ = o.Decide(context.Background(), &req, &attempt.Result{Outcome: attempt.Missing, Duration: -time.Second})
	o.Anonymous(context.Background(), &req, &attempt.Response{Status: 7})
	for _, p := range moved(rec) {
		want := map[string]any{"auth.scheme": "none", "auth.outcome": "missing"}
		if p.Name == "auth.public.responses" {
			want = map[string]any{}
		}
		if d := cmp.Diff(want, p.Attributes.Map()); d != "" {
			t.Errorf("%s (-want +got):\n%s", p.Name, d)
		}
		if p.Value < 0 {
			t.Errorf("%s has the sum %v", p.Name, p.Value)
		}
	}
}

// A value outside the constants must neither panic nor create a series.
func TestOutOfRange(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
	req := request()
	for i := range 240 {
		_ = o.Decide(context.Background(), &req, &attempt.Result{
			Outcome: attempt.Outcome(i + 6), ErrorType: attempt.ErrorType(i + 12), Cache: attempt.CacheResult(i + 4),
			Hash: attempt.HashRun{Scheme: "bcrypt", Outcome: attempt.Outcome(i + 6)},
		})
	}
	if n := len(moved(rec)); n != 3 {
		t.Errorf("%d points, want 3: %v", n, moved(rec))
	}
	if got := rec.Sum("auth.attempts", attribute.String("auth.outcome", "error"), attribute.String("error.type", "_OTHER")); got != 240 {
		t.Errorf("auth.attempts = %v", got)
	}
}

func TestRejected(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		res  attempt.Result
		want float64
	}{
		"queue full":                 {attempt.Result{ErrorType: attempt.Overloaded, Cache: attempt.Miss}, 1},
		"canceled in the queue":      {attempt.Result{ErrorType: attempt.Canceled, Cache: attempt.Miss}, 1},
		"canceled while coalesced":   {attempt.Result{ErrorType: attempt.Canceled, Cache: attempt.Coalesced}, 1},
		"deadline in the queue":      {attempt.Result{ErrorType: attempt.Timeout, Cache: attempt.Miss}, 1},
		"canceled before the lookup": {attempt.Result{ErrorType: attempt.Canceled}, 0},
		"remote verifier too slow":   {attempt.Result{ErrorType: attempt.Timeout, Cache: attempt.Miss, Reason: attempt.ReasonVerifierFailed}, 0},
		"no hash needed":             {attempt.Result{ErrorType: attempt.AccountsUnavailable, Cache: attempt.Miss}, 0},
		"canceled, but the hash ran": {attempt.Result{ErrorType: attempt.Canceled, Cache: attempt.Miss, Hash: attempt.HashRun{Scheme: "bcrypt"}}, 0},
		"throttled is not rejected":  {attempt.Result{Outcome: attempt.Throttled, ErrorType: attempt.RateLimited, Cache: attempt.Miss}, 0},
	} {
		rec := otelauthtest.NewRecorder(t)
		req := request()
		_ = newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()}).Decide(context.Background(), &req, &tc.res)
		if got := rec.Sum("auth.password.verify.rejected"); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestDenied(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
	req := request()
	for _, out := range attempt.Outcomes() {
		for _, status := range []int{0, 200, 401, 403, 404, 500} {
			for _, handler := range []bool{true, false} {
				o.End(context.Background(), &req, &attempt.Result{Outcome: out}, &attempt.Response{Status: status, Handler: handler})
			}
		}
	}
	var got []map[string]any
	for _, p := range moved(rec) {
		got = append(got, p.Attributes.Map())
	}
	slices.SortFunc(got, func(a, b map[string]any) int {
		return int(a["http.response.status_code"].(int64) - b["http.response.status_code"].(int64))
	})
	want := []map[string]any{
		{"http.route": "/orders/{id}", "http.response.status_code": int64(401), "auth.response.denied_by": "service"},
		{"http.route": "/orders/{id}", "http.response.status_code": int64(403), "auth.response.denied_by": "service"},
	}
	if d := cmp.Diff(want, got); d != "" || rec.Sum("auth.responses.denied") != 2 {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestReloads(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
	for _, err := range []error{
		nil, nil, errors.New("htpasswd: line 3"), fmt.Errorf("sql: %w", context.DeadlineExceeded), context.Canceled,
	} {
		o.Notice(context.Background(), attempt.Notice{Kind: attempt.AccountReload, Err: err})
	}
	o.Notice(context.Background(), attempt.Notice{Kind: attempt.IdentityKeyRandom})
	got := map[string]float64{}
	for _, p := range moved(rec) {
		got[p.Name+" "+p.Attributes.Text("error.type")] = p.Value
	}
	want := map[string]float64{
		"auth.account.reloads ": 2, "auth.account.reloads accounts_unavailable": 1,
		"auth.account.reloads timeout": 1, "auth.account.reloads canceled": 1,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestSuppressed: attempts are counted by outcome, other events without one.
func TestSuppressed(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
	for i, s := range []attempt.Suppression{
		{Event: semconv.EventAttempt, Outcome: attempt.Failure},
		{Event: semconv.EventAttempt, Outcome: attempt.Failure},
		{Event: semconv.EventAttempt, Outcome: 99},
		{Event: semconv.EventPublicResponse, Outcome: attempt.Failure},
	} {
		s.Count = 1 << i
		o.Suppressed(context.Background(), s)
	}
	got := map[string]float64{}
	for _, p := range moved(rec) {
		got[p.Name+" "+p.Attributes.Text("auth.outcome")] = p.Value
	}
	want := map[string]float64{
		"auth.events.suppressed failure": 3, "auth.events.suppressed error": 4, "auth.events.suppressed ": 8,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestPreviousCredentials: an expired previous password has no counter of its own.
func TestPreviousCredentials(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
	for _, res := range []attempt.Result{
		{Outcome: attempt.Success, PreviousCredential: true},
		{Outcome: attempt.Success, PreviousCredential: true},
		{Outcome: attempt.Success},
		{Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Reason: attempt.ReasonCredentialsExpired, PreviousCredential: true},
	} {
		req := request()
		_ = o.Decide(context.Background(), &req, &res)
	}
	if got := rec.Sum("auth.previous_credentials.uses", attribute.String("http.route", "/orders/{id}")); got != 2 {
		t.Errorf("auth.previous_credentials.uses = %v, want the 2 successes", got)
	}
}

// TestWatch: two verifiers add up, and a verifier that was replaced is no longer counted.
func TestWatch(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	a := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
	b := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
	check := func(when string, n float64) {
		t.Helper()
		for name, want := range map[string]float64{
			"auth.account.count": 1, "auth.cache.entry.count": 2, "auth.throttle.entry.count": 3,
			"auth.password.verify.active": 4, "auth.password.verify.queued": 5,
		} {
			if got := rec.Sum(name); got != n*want {
				t.Errorf("%s: %s = %v, want %v", when, name, got, n*want)
			}
		}
	}
	state := func() attempt.State {
		return attempt.State{Accounts: 1, CacheEntries: 2, ThrottleEntries: 3, HashesActive: 4, HashesQueued: 5}
	}
	stopA, err := a.Watch(state)
	if err != nil {
		t.Fatal(err)
	}
	check("one", 1)
	if _, err := a.Watch(state); err != nil {
		t.Fatal(err)
	}
	stopB, err := b.Watch(state)
	if err != nil {
		t.Fatal(err)
	}
	check("three, by two observers", 3)
	stopA()
	stopA()
	stopB()
	check("one stopped twice, one once", 1)
}

func TestExemplars(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := rec.Observers("")
	req := request()
	inner := o.Begin(context.Background(), &req)
	res := attempt.Result{
		Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Cache: attempt.Miss,
		Hash: attempt.HashRun{Scheme: "bcrypt", Start: time.Now(), Duration: time.Second},
	}
	_ = o.Decide(inner, &req, &res)
	o.End(context.Background(), &req, &res, &attempt.Response{Status: 401})
	auth := rec.Spans()[1]
	tr := rec.ByTrace(auth.SpanContext.TraceID())
	if len(tr.Spans) != 2 || len(tr.Events) != 1 || len(tr.Attempts) != 1 {
		t.Fatalf("trace has %d spans, %d events, %d attempts", len(tr.Spans), len(tr.Events), len(tr.Attempts))
	}
	var names []string
	for _, p := range tr.Metrics {
		names = append(names, p.Name)
		for _, x := range p.Exemplars {
			if x.SpanID() != auth.SpanContext.SpanID() {
				t.Errorf("%s leads to span %v, want the auth span", p.Name, x.SpanID())
			}
		}
	}
	slices.Sort(names)
	want := []string{"auth.attempt.duration", "auth.attempts", "auth.cache.lookups", "auth.password.verify.duration"}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("series that lead to the trace (-want +got):\n%s", d)
	}
}

// TestCardinality: nothing that a client sends creates a series, even if a service passes it on as
// route, method or scheme.
func TestCardinality(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
	const n = 100_000
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := worker; i < n; i += 4 {
				s := fmt.Sprintf("v%d", i)
				req := attempt.Request{
					Context: context.Background(), Scheme: attempt.SchemeBasic, Route: "/orders/{id}", Method: "M" + s,
					Path: "/" + s, UserAgent: s, RequestID: s, Client: netip.AddrFrom4([4]byte{byte(i >> 16), byte(i >> 8), byte(i), 1}),
				}
				_ = o.Decide(req.Context, &req, &attempt.Result{
					Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Reason: attempt.Reason(s), UserName: s, UserHash: s,
				})
				if i%10 == 0 {
					req.Scheme, req.Route = attempt.Scheme(s), "/"+s+strings.Repeat("x", i%2000)
					res := attempt.Result{Outcome: attempt.Success, Hash: attempt.HashRun{Scheme: s, Outcome: attempt.Success}}
					_ = o.Decide(req.Context, &req, &res)
					o.End(req.Context, &req, &res, &attempt.Response{Status: 403, Handler: true})
					o.Anonymous(req.Context, &req, &attempt.Response{Status: i, Handler: true})
				}
			}
		})
	}
	wg.Wait()
	series, routes := map[string]int{}, map[string]bool{}
	for _, p := range rec.Metrics() {
		series[p.Name]++
		if r := p.Attributes.Text("http.route"); r != "" {
			routes[r] = true
		}
	}
	if len(routes) > metrics.MaxRoutes+1 {
		t.Errorf("%d routes, want at most %d", len(routes), metrics.MaxRoutes+1)
	}
	for name, limit := range map[string]int{
		// Each bounded route may have one of the schemes with series of their own, and "other".
		"auth.attempts":                 metrics.MaxRoutes + metrics.MaxSchemes + 2,
		"auth.attempt.duration":         metrics.MaxSchemes + 1,
		"auth.password.verify.duration": metrics.MaxSchemes + 1,
		"auth.responses.denied":         metrics.MaxRoutes + 1,
		"auth.public.responses":         metrics.MaxRoutes + 1 + 501,
	} {
		if series[name] > limit {
			t.Errorf("%s has %d series, want at most %d", name, series[name], limit)
		}
	}
	if got := rec.Sum("auth.attempts"); got != n+n/10 {
		t.Errorf("auth.attempts = %v, want %d: an attempt was lost", got, n+n/10)
	}
	if got := rec.Sum("auth.attempts", attribute.String("http.route", "/orders/{id}")); got != n {
		t.Errorf("the registered route has %v attempts, want %d: hostile routes took its place", got, n)
	}
	if _, err := rec.OTLP(); err != nil {
		t.Error(err)
	}
}

func TestHostileRoute(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
	req := request()
	req.Route, req.Scheme = "/\xff\n\u202e", "\xff"
	_ = o.Decide(context.Background(), &req, &attempt.Result{Hash: attempt.HashRun{Scheme: "\xff\n"}})
	if _, err := rec.OTLP(); err != nil {
		t.Error(err)
	}
}

func TestLongRoute(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()})
	for _, route := range []string{"/" + strings.Repeat("a", 1024), "/" + strings.Repeat("b", 1<<20)} {
		req := request()
		req.Route = route
		_ = o.Decide(context.Background(), &req, &attempt.Result{})
	}
	if got := rec.Sum("auth.attempts", attribute.String("http.route", "_OTHER")); got != 2 {
		t.Errorf("_OTHER has %v attempts, want 2", got)
	}
}

// TestNoReason: a public /metrics page must not separate an unknown user from a wrong password.
func TestNoReason(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	feed(t, newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider()}))
	for _, p := range rec.Metrics() {
		for _, kv := range p.Attributes {
			for _, banned := range []string{"auth.reason", "user.", "url.", "client.", "network.", "user_agent.", "server."} {
				if strings.HasPrefix(string(kv.Key), banned) {
					t.Errorf("%s has %s", p.Name, kv.Key)
				}
			}
		}
	}
}

// TestLabelHTTP: the metrics of otelhttp get outcome and route, without a second http.route if
// the mux has set it.
func TestLabelHTTP(t *testing.T) {
	t.Parallel()
	for _, label := range []bool{false, true} {
		for _, pattern := range []string{"", "GET /mux/{id}"} {
			rec := otelauthtest.NewRecorder(t)
			o := newObserver(t, metrics.Config{MeterProvider: rec.MeterProvider(), LabelHTTP: label})
			h := otelhttp.NewHandler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				r.Pattern = pattern
				req := request()
				req.Context = r.Context()
				_ = o.Decide(r.Context(), &req, &attempt.Result{Outcome: attempt.Failure})
			}), "op", otelhttp.WithMeterProvider(rec.MeterProvider()), otelhttp.WithTracerProvider(tracenoop.NewTracerProvider()))
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil))

			var found bool
			for _, p := range rec.Metrics() {
				if p.Name != "http.server.request.duration" {
					continue
				}
				found = true
				wantRoute, wantOutcome := "", ""
				if label {
					wantRoute, wantOutcome = "/orders/{id}", "failure"
				}
				if pattern != "" {
					wantRoute = "/mux/{id}"
				}
				if r, out := p.Attributes.Text("http.route"), p.Attributes.Text("auth.outcome"); r != wantRoute || out != wantOutcome {
					t.Errorf("label %v, pattern %q: route %q, outcome %q", label, pattern, r, out)
				}
			}
			if !found {
				t.Error("otelhttp recorded nothing")
			}
		}
	}
	// Outside of otelhttp there is no Labeler, which is not an error.
	o := newObserver(t, metrics.Config{MeterProvider: noop.NewMeterProvider(), LabelHTTP: true})
	req := request()
	_ = o.Decide(context.Background(), &req, &attempt.Result{})
	req.Context = nil
	_ = o.Decide(context.Background(), &req, &attempt.Result{})
}

func TestNewReturnsInstrumentErrors(t *testing.T) {
	t.Parallel()
	o, err := metrics.New(metrics.Config{MeterProvider: broken{}})
	if o != nil || !errors.Is(err, errBroken) || !strings.HasPrefix(err.Error(), "metrics: ") {
		t.Errorf("New = %v, %v", o, err)
	}
}

var errBroken = errors.New("no such unit")

type broken struct{ noop.MeterProvider }

func (broken) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

type brokenMeter struct{ noop.Meter }

func (brokenMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, errBroken
}

// The scope has the version of the module and the schema URL.
func TestScope(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	o := newObserver(t, metrics.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	req := request()
	_ = o.Decide(t.Context(), &req, &attempt.Result{})
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	want := instrumentation.Scope{Name: metrics.ScopeName, Version: semconv.Version(), SchemaURL: semconv.SchemaURL}
	if got := all.ScopeMetrics[0].Scope; got != want {
		t.Errorf("scope %v, want %v", got, want)
	}
}
