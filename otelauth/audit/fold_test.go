// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/log"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// tally is a handler that counts individual events, and adds up the counts of folded ones.
type tally struct {
	mu      sync.Mutex
	records int
	short   int64            // events of a folded one that its routes lack
	byNet   map[string]int   // records by network and rule
	single  map[string]int64 // events by name and outcome
	folded  map[string]int64
}

func newTally() *tally {
	return &tally{byNet: map[string]int{}, single: map[string]int64{}, folded: map[string]int64{}}
}

func (*tally) Enabled(context.Context, slog.Level) bool { return true }
func (y *tally) WithAttrs([]slog.Attr) slog.Handler     { return y }
func (y *tally) WithGroup(string) slog.Handler          { return y }

func (y *tally) Handle(_ context.Context, r slog.Record) error {
	kv := map[string]slog.Value{}
	r.Attrs(func(a slog.Attr) bool {
		kv[a.Key] = a.Value
		return true
	})
	y.mu.Lock()
	defer y.mu.Unlock()
	y.records++
	if r.Message != "auth.events.suppressed" {
		y.single[name(r.Message, kv["auth.outcome"])]++
		y.byNet[rule(prefixOf(kv["client.address"].String()), kv)]++
		return nil
	}
	n := kv[semconv.KeyEventsSuppressedCount].Int64()
	y.folded[name(kv[semconv.KeyEventsSuppressedEvent].String(), kv["auth.outcome"])] += n
	y.byNet[rule(kv[semconv.KeyEventsSuppressedNetwork].String(), kv)]++
	if counts, ok := kv[semconv.KeyEventsSuppressedRouteCounts]; ok {
		for _, c := range counts.Any().([]int64) {
			n -= c
		}
		y.short += n
	}
	return nil
}

func name(event string, outcome slog.Value) string {
	if event == "auth.public.response" {
		return event
	}
	return outcome.String()
}

func rule(network string, kv map[string]slog.Value) string {
	return fmt.Sprintf("%s %v %v", network, kv["auth.outcome"], kv["auth.reason"])
}

func prefixOf(addr string) string {
	a, err := netip.ParseAddr(addr)
	if err != nil {
		return "unknown"
	}
	p, _ := a.Prefix(map[bool]int{true: 32, false: 64}[a.Is4()])
	return p.String()
}

// snapshot returns a copy of y.
func (y *tally) snapshot() *tally {
	y.mu.Lock()
	defer y.mu.Unlock()
	return &tally{
		records: y.records, short: y.short,
		byNet: maps.Clone(y.byNet), single: maps.Clone(y.single), folded: maps.Clone(y.folded),
	}
}

func (y *tally) all() map[string]int64 {
	y.mu.Lock()
	defer y.mu.Unlock()
	sum := map[string]int64{}
	for _, m := range []map[string]int64{y.single, y.folded} {
		for k, n := range m {
			sum[k] += n
		}
	}
	return sum
}

func slogObserver(t testing.TB, h slog.Handler, e audit.Events) *audit.Observer {
	t.Helper()
	o, err := audit.NewSlogEvents(h, e)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func refuse(o attempt.Observer, client netip.Addr, out attempt.Outcome, reason attempt.Reason, at time.Time) {
	req := attempt.Request{
		Context: context.Background(), Time: at, Scheme: attempt.SchemeBasic, Route: "/orders/{id}", Method: "GET", Client: client,
	}
	res := attempt.Result{Outcome: out, ErrorType: attempt.InvalidCredentials, Reason: reason}
	o.End(req.Context, &req, &res, &attempt.Response{Status: 401})
}

func v4(n uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0x0b000000+n)))
}

// TestFloodOfRefusals: 10,000 refused attempts a second for a minute cause at most 60 events for
// each network and reason, and every attempt is in one of them.
func TestFloodOfRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const perSecond, ticks, seconds = 10_000, 20, 60
		y := newTally()
		rec := otelauthtest.NewRecorder(t)
		otel, err := audit.New(audit.Config{LoggerProvider: rec.LoggerProvider()})
		if err != nil {
			t.Fatal(err)
		}
		o := attempt.Join(otel, slogObserver(t, y, audit.Events{}))
		rules := []attempt.Reason{attempt.ReasonWrongPassword, attempt.ReasonUnknownUser, attempt.ReasonBudgetEmpty}
		total := 0
		for range seconds * ticks {
			for i := range perSecond / ticks {
				refuse(o, v4(uint32(i%3)<<10), attempt.Failure, rules[i/3%3], time.Now())
				total++
			}
			time.Sleep(time.Second / ticks)
		}
		minute := y.snapshot().byNet
		delete(minute, "other failure <nil>") // what is beyond the limit of the process
		if n := len(minute); n != 9 {
			t.Fatalf("%d networks and rules: %v", n, minute)
		}
		for k, n := range minute {
			t.Logf("%s: %d events", k, n)
			if n > seconds {
				t.Errorf("%s: %d events in %d seconds", k, n, seconds)
			}
			if n < 30 {
				t.Errorf("%s: only %d events", k, n)
			}
		}
		// no attempts: the timer emits the rest
		time.Sleep(audit.DefaultPeriod + audit.DefaultPeriod/16)
		synctest.Wait()
		if d := cmp.Diff(map[string]int64{"failure": int64(total)}, y.all()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		// Both observers use the same folder.
		var viaOTel int64
		for _, e := range rec.Events() {
			if e.Name() == semconv.EventEventsSuppressed {
				viaOTel += e.Attributes().Get(semconv.KeyEventsSuppressedCount).AsInt64()
				continue
			}
			viaOTel++
		}
		if viaOTel != int64(total) || len(rec.Events()) != y.snapshot().records {
			t.Errorf("OpenTelemetry has %d attempts in %d events, slog %d in %d", viaOTel, len(rec.Events()), total, y.snapshot().records)
		}
	})
}

// TestExact: for any networks, room, clock and concurrency, the individual events and the counts
// of the folded ones add up to the attempts, and the hook gets the same counts.
func TestExact(t *testing.T) {
	t.Parallel()
	for _, success := range []audit.Successes{audit.EverySuccess, audit.FirstSuccess} {
		synctest.Test(t, func(t *testing.T) {
			y := newTally()
			var mu sync.Mutex
			hook := map[string]int64{}
			o := slogObserver(t, y, audit.Events{
				Success: success, SuccessPeriod: 50 * time.Millisecond,
				Entries: 20, Burst: 2, Every: 3 * time.Millisecond, Period: 10 * time.Millisecond,
				Suppressed: func(_ context.Context, s attempt.Suppression) {
					mu.Lock()
					defer mu.Unlock()
					n := s.Event
					if n == semconv.EventAttempt {
						n = s.Outcome.String()
					}
					hook[n] += s.Count
				},
			})
			const workers = 8
			each := testkit.Repeats(1_000, 5_000)
			want := make([]map[string]int64, workers)
			var wg sync.WaitGroup
			for w := range workers {
				want[w] = map[string]int64{}
				wg.Go(func() {
					rng := rand.New(rand.NewPCG(1, uint64(w)))
					for i := range each {
						req := request()
						req.Time = time.Now()
						if rng.IntN(4) == 0 { // an unreliable clock
							req.Time = req.Time.Add(time.Duration(rng.Int64N(int64(2*time.Hour))) - time.Hour)
						}
						req.Route = fmt.Sprintf("/r%d", rng.IntN(12))
						switch rng.IntN(4) {
						case 0:
							req.Client = v4(uint32(rng.IntN(3)))
						case 1:
							req.Client = v4(rng.Uint32N(1 << 24))
						case 2:
							var b [16]byte
							binary.BigEndian.PutUint64(b[:], rng.Uint64()|1<<63)
							req.Client = netip.AddrFrom16(b)
						default:
							req.Client = netip.Addr{}
						}
						if rng.IntN(8) == 0 {
							o.Anonymous(req.Context, &req, &attempt.Response{Status: 401, Handler: true})
							want[w]["auth.public.response"]++
						} else {
							res := attempt.Result{
								Outcome: attempt.Outcomes()[rng.IntN(6)], UserName: fmt.Sprintf("u%d", rng.IntN(9)),
								Reason: attempt.Reason(fmt.Sprintf("made_up_%d", rng.IntN(3))),
							}
							o.End(req.Context, &req, &res, &attempt.Response{Status: 200})
							want[w][res.Outcome.String()]++
						}
						if i%50 == 0 {
							time.Sleep(time.Millisecond)
						}
						if i%1000 == 0 {
							o.Flush()
						}
					}
				})
			}
			wg.Wait()
			o.Flush()
			synctest.Wait()
			got := y.snapshot()
			mu.Lock()
			hooked := maps.Clone(hook)
			mu.Unlock()
			sum := map[string]int64{}
			for _, m := range want {
				for k, n := range m {
					sum[k] += n
				}
			}
			if d := cmp.Diff(sum, got.all()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if d := cmp.Diff(got.folded, hooked); d != "" {
				t.Errorf("the hook (-events +hook):\n%s", d)
			}
			if success == audit.EverySuccess && got.folded["success"] != 0 {
				t.Errorf("%d successes were folded", got.folded["success"])
			}
			for k, n := range got.folded {
				if n == 0 {
					t.Errorf("no %s was folded", k)
				}
			}
			if got.short != 0 {
				t.Errorf("the routes are %d short of the counts", got.short)
			}
			time.Sleep(time.Hour)
			o.Flush()
			synctest.Wait()
			if y.snapshot().records != got.records {
				t.Error("an event was emitted twice")
			}
		})
	}
}

// TestFoldedEvent checks the attributes of a folded event, in OTLP and in slog.
func TestFoldedEvent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := otelauthtest.NewRecorder(t)
		var buf bytes.Buffer
		otel, err := audit.New(audit.Config{LoggerProvider: rec.LoggerProvider(), Events: audit.Events{Burst: 1, Every: time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		o := attempt.Join(otel, slogObserver(t, slog.NewJSONHandler(&buf, nil), audit.Events{Burst: 1, Every: time.Hour}))
		start := time.Now().UTC()
		tracer := rec.TracerProvider().Tracer("http")
		var ids []string
		var last context.Context
		for i := range 12 {
			req := request()
			ctx := context.Background()
			if i == 3 {
				ctx = last // a client that tries twice in one trace
			}
			ctx, span := tracer.Start(ctx, "server")
			last = ctx
			req.Context, req.Time, req.Exposed = ctx, time.Now(), true
			req.Route = fmt.Sprintf("/r%d", min(i, 10)/2*2)
			res := full(attempt.Failure, attempt.InvalidCredentials)
			res.Duration = 0
			o.End(ctx, &req, &res, &attempt.Response{Status: 401})
			if 0 < i && i <= audit.MaxTraces+1 && i != 3 {
				ids = append(ids, span.SpanContext().TraceID().String())
			}
			span.End()
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(audit.DefaultPeriod * 17 / 16)
		synctest.Wait()
		const format = "2006-01-02T15:04:05.000Z07:00"
		want := map[string]any{
			"auth.events.suppressed.event":        "auth.attempt",
			"auth.events.suppressed.count":        int64(11),
			"auth.events.suppressed.first_time":   start.Add(100 * time.Millisecond).Format(format),
			"auth.events.suppressed.last_time":    start.Add(1100 * time.Millisecond).Format(format),
			"auth.events.suppressed.network":      "192.0.2.7/32",
			"auth.events.suppressed.routes":       []string{"/r0", "/r2", "/r4", "/r6", "/r8", "/r10"},
			"auth.events.suppressed.route_counts": []int64{1, 2, 2, 2, 2, 2},
			"auth.events.suppressed.trace_ids":    ids,
			"client.address":                      "192.0.2.7",
			"auth.scheme":                         "basic",
			"auth.outcome":                        "failure",
			"error.type":                          "invalid_credentials",
			"auth.reason":                         "wrong_password",
			"auth.credentials.exposed":            true,
		}
		events := rec.Events()
		if len(events) != 2 {
			t.Fatalf("%d events", len(events))
		}
		e := events[1]
		if d := cmp.Diff(want, e.Attributes().Map()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if n := len(e.Attributes()); n != len(want) {
			t.Errorf("%d attributes, %d keys", n, len(want))
		}
		after := e.Timestamp().Sub(start.Add(100 * time.Millisecond))
		if e.Name() != "auth.events.suppressed" || e.Severity() != log.SeverityWarn || after < audit.DefaultPeriod || after > audit.DefaultPeriod*17/16 {
			t.Errorf("%q %v after %v", e.Name(), e.Severity(), after)
		}
		lines := strings.Split(strings.TrimSpace(buf.String()), "\n")
		var got, as map[string]any
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &got); err != nil {
			t.Fatal(err)
		}
		for k, v := range map[string]any{"msg": "auth.events.suppressed", "level": "WARN", "time": got["time"]} {
			want[k] = v
		}
		b, _ := json.Marshal(want)
		_ = json.Unmarshal(b, &as)
		if d := cmp.Diff(as, got); d != "" {
			t.Errorf("slog (-want +got):\n%s", d)
		}
	})
}

// TestRollUp: a client without an event of its own counts in that of its site, and then in that
// of all networks.
func TestRollUp(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		client     func(i int) netip.Addr
	}{
		{"one host", "11.0.0.7/32", func(int) netip.Addr { return v4(7) }},
		{"one host, mapped", "11.0.0.7/32", func(int) netip.Addr { return netip.AddrFrom16(v4(7).As16()) }},
		{"one /64", "2001:db8:1:2::/64", func(i int) netip.Addr {
			return netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2:%x:%x::", i, i*7))
		}},
		{"one /24", "11.0.3.0/24", func(i int) netip.Addr { return v4(3<<8 + uint32(i)&0xff) }},
		{"one /48", "2001:db8:1::/48", func(i int) netip.Addr {
			return netip.MustParseAddr(fmt.Sprintf("2001:db8:1:%x::1", i))
		}},
		{"all networks", "other", func(i int) netip.Addr { return v4(uint32(i) << 8) }},
		{"unix socket", "unknown", func(int) netip.Addr { return netip.Addr{} }},
	} {
		rec := otelauthtest.NewRecorder(t)
		o, err := audit.New(audit.Config{LoggerProvider: rec.LoggerProvider(), Events: audit.Events{
			Burst: 3, Every: time.Hour, Entries: 256, Now: func() time.Time { return began },
		}})
		if err != nil {
			t.Fatal(err)
		}
		const attempts = 500
		for i := range attempts {
			refuse(o, tc.client(i), attempt.Error, attempt.ReasonVerifierFailed, began)
		}
		o.Flush()
		sum, biggest := int64(0), int64(0)
		var networks []string
		for _, e := range rec.Events() {
			if e.Severity() != log.SeverityError {
				t.Errorf("%s: severity %v", tc.name, e.Severity())
			}
			if e.Name() != semconv.EventEventsSuppressed {
				sum++
				continue
			}
			n := e.Attributes().Get(semconv.KeyEventsSuppressedCount).AsInt64()
			sum, biggest = sum+n, max(biggest, n)
			networks = append(networks, e.Attribute(semconv.KeyEventsSuppressedNetwork))
		}
		if sum != attempts || len(networks) != 1 || networks[0] != tc.want {
			t.Errorf("%s: %d of %d attempts, folded for %v, want %s", tc.name, sum, attempts, networks, tc.want)
		}
	}
}

// TestRoomOfOthers: 200,000 hostile networks do not evict the count of another flood, cause few
// individual events, and take no more memory than the doc comment of Events has.
func TestRoomOfOthers(t *testing.T) {
	t.Parallel()
	if !testkit.Alone(t) { // it reads the heap
		return
	}
	const networks = 200_000
	synctest.Test(t, func(t *testing.T) { // its timers do not fire
		y := newTally()
		now := began
		o := slogObserver(t, y, audit.Events{Now: func() time.Time { return now }, Period: time.Hour})
		flooder := netip.MustParseAddr("192.0.2.7")
		for range 1000 {
			refuse(o, flooder, attempt.Failure, attempt.ReasonWrongPassword, now)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range networks {
			var b [16]byte
			binary.BigEndian.PutUint64(b[:], 0x2001_0000_0000_0000+uint64(i)<<12)
			refuse(o, netip.AddrFrom16(b), attempt.Failure, attempt.ReasonWrongPassword, now)
			now = now.Add(time.Microsecond)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 3<<20 {
			t.Errorf("the heap grew by %d bytes", grown)
		}
		// 200 at once and 2 a second of all networks, 1024 and 1 a second of new ones, 20 of the
		// flooder.
		if n := y.single["failure"]; n > 200+2+1024+1+20 {
			t.Errorf("%d individual events", n)
		}
		for range 1000 {
			refuse(o, flooder, attempt.Failure, attempt.ReasonWrongPassword, now)
		}
		o.Flush()
		if n := y.byNet["192.0.2.7/32 failure wrong_password"]; n != 1+20 {
			t.Errorf("%d events of the flooder", n)
		}
		if d := cmp.Diff(map[string]int64{"failure": int64(networks + 2000)}, y.all()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		runtime.KeepAlive(o)
	})
}

// TestManyNetworks: 100,041 denials from 40,000 networks in an hour make at most 5 events a second
// beside the first burst, individual and folded ones together. The first denial of each network
// and every success stay individual while the networks are few, and every denial is counted.
func TestManyNetworks(t *testing.T) {
	t.Parallel()
	const denials, networks, fewNetworks = 100_041, 40_000, 500
	synctest.Test(t, func(t *testing.T) {
		y := newTally()
		o := slogObserver(t, y, audit.Events{})
		end := func(out attempt.Outcome, client netip.Addr) {
			req := attempt.Request{Context: context.Background(), Time: time.Now(), Route: "/", Client: client}
			res := attempt.Result{Outcome: out, UserHash: "k:" + client.String()}
			o.End(req.Context, &req, &res, &attempt.Response{Status: 401})
		}
		successes := 0
		for i := range denials {
			// At first only as many networks as are always reported.
			n := i % networks
			if i < denials/10 {
				n = i % fewNetworks
			}
			end(attempt.Failure, v4(uint32(n)<<8))
			if i == fewNetworks {
				if got := len(y.snapshot().byNet) - successes; got != fewNetworks {
					t.Errorf("the first denials of %d networks of %d are events", got, fewNetworks)
				}
			}
			if i%100 == 0 {
				successes++
				end(attempt.Success, v4(uint32(n)<<8))
			}
			time.Sleep(time.Hour / denials)
		}
		o.Flush()
		synctest.Wait()
		got := y.snapshot()
		if n := got.records - successes; n > 5*3600+1324 || n < 3600 {
			t.Errorf("%d events of denials", n)
		}
		want := map[string]int64{"failure": denials, "success": int64(successes)}
		if d := cmp.Diff(want, got.all()); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if got.single["success"] != int64(successes) {
			t.Errorf("%d of %d successes are events", got.single["success"], successes)
		}
	})
}

// TestOneAccount: denials of one account from many networks are folded into an event that names
// the account, and leave the limits of the process to others.
func TestOneAccount(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	o, err := audit.New(audit.Config{LoggerProvider: rec.LoggerProvider(), Events: audit.Events{
		Entries: 8, Now: func() time.Time { return began },
	}})
	if err != nil {
		t.Fatal(err)
	}
	const attempts = 150
	for i := range attempts {
		req := attempt.Request{Context: context.Background(), Time: began, Client: v4(uint32(i) << 8)}
		res := attempt.Result{Outcome: attempt.Failure, Reason: attempt.ReasonWrongPassword, UserName: "alice", UserHash: "k:1"}
		o.End(req.Context, &req, &res, &attempt.Response{Status: 401})
	}
	o.Flush()
	individual, counted := int64(0), int64(0)
	for _, e := range rec.Events() {
		if e.Name() != semconv.EventEventsSuppressed {
			individual++
			continue
		}
		counted += e.Attributes().Get(semconv.KeyEventsSuppressedCount).AsInt64()
		got := [4]string{
			e.Attribute("user.name"), e.Attribute("user.hash"), e.Attribute(semconv.KeyReason), e.Attribute(semconv.KeyEventsSuppressedNetwork),
		}
		if want := [4]string{"alice", "k:1", "wrong_password", "other"}; got != want {
			t.Errorf("the fold has %v, want %v", got, want)
		}
	}
	// 40 of the account, and the first ones of two networks.
	if individual > 42 || individual+counted != attempts {
		t.Errorf("%d individual events and %d in folds, of %d", individual, counted, attempts)
	}
}

// TestEveryEntryTaken measures the maximum memory of an observer: every entry has a fold.
func TestEveryEntryTaken(t *testing.T) {
	t.Parallel()
	if !testkit.Alone(t) { // it reads the heap
		return
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	// No period ends during the test, however slow the machine is.
	o := slogObserver(t, enabled{slog.DiscardHandler}, audit.Events{
		Success: audit.FirstSuccess, Burst: 1, Every: time.Hour, Period: 24 * time.Hour, SuccessPeriod: 24 * time.Hour, PerSecond: 10_000,
	})
	for i := range 100_000 {
		for range 2 {
			refuse(o, v4(uint32(i)<<6), attempt.Failure, "", began)
			req := request()
			res := attempt.Result{Outcome: attempt.Success, UserName: "alice"}
			req.Client = v4(uint32(i))
			o.End(req.Context, &req, &res, &attempt.Response{Status: 200})
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 12<<20 || grown < 8<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	runtime.KeepAlive(o)
}

// TestFirstSuccess: the first success of an account from a network on a route is an event, and the
// others are an exact count at the end of the period.
func TestFirstSuccess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rec := otelauthtest.NewRecorder(t)
		o, err := audit.New(audit.Config{LoggerProvider: rec.LoggerProvider(), Events: audit.Events{Success: audit.FirstSuccess}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		succeed := func(user, route, client string, resp attempt.Response) {
			req := request()
			req.Time, req.Route, req.Client = time.Now(), route, netip.MustParseAddr(client)
			o.End(req.Context, &req, &attempt.Result{Outcome: attempt.Success, UserName: user, UserHash: "k:" + user, Cache: attempt.Hit}, &resp)
		}
		ok := attempt.Response{Status: 200, Handler: true}
		for range 600 { // a minute
			succeed("alice", "/a", "192.0.2.7", ok)
			time.Sleep(100 * time.Millisecond)
		}
		for range 10 { // a second of the next one
			succeed("alice", "/a", "192.0.2.7", ok)
			succeed("bob", "/a", "192.0.2.7", ok)
			succeed("alice", "/b", "192.0.2.7", ok)
			succeed("alice", "/a", "192.0.2.8", ok)
			succeed("alice", "/a", "192.0.2.7", attempt.Response{Status: 403, Handler: true})
		}
		var got []string
		look := func() {
			got = got[:0]
			for _, e := range rec.Events() {
				line := fmt.Sprintf("%3.0fs %s %s %s %s%s", e.Timestamp().Sub(start).Seconds(), e.Name(), e.Attribute("user.name"),
					e.Attribute("http.route"), e.Attribute("client.address"), e.Attribute(semconv.KeyEventsSuppressedNetwork))
				if n := e.Attribute(semconv.KeyEventsSuppressedCount); n != "" {
					line += " " + n
				}
				got = append(got, line)
				if e.Severity() != log.SeverityInfo {
					t.Errorf("severity %v", e.Severity())
				}
			}
		}
		time.Sleep(time.Minute * 18 / 16)
		synctest.Wait()
		look()
		want := []string{
			"  0s auth.attempt alice /a 192.0.2.7",
			" 60s auth.events.suppressed alice /a 192.0.2.7192.0.2.7/32 599",
			" 60s auth.attempt alice /a 192.0.2.7",
			" 60s auth.attempt bob /a 192.0.2.7",
			" 60s auth.attempt alice /b 192.0.2.7",
			" 60s auth.attempt alice /a 192.0.2.8",
			" 60s auth.attempt alice /a 192.0.2.7",
		}
		if len(got) != len(want)+5 {
			t.Fatalf("%d events: %s", len(got), strings.Join(got, "\n"))
		}
		if d := cmp.Diff(want, got[:len(want)]); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		forbidden := 0
		for _, e := range rec.Events()[len(want):] {
			if e.Attribute(semconv.KeyEventsSuppressedCount) != "9" || e.Attribute("user.hash") == "" {
				t.Errorf("%v", e.Attributes())
			}
			if e.Attribute("http.response.status_code") == "403" {
				forbidden++
			}
		}
		if forbidden != 1 {
			t.Errorf("%d folded events of the handler's 403", forbidden)
		}
	})
}

// TestTimer: one timer serves folds with long and short periods, each emitted in time, and no
// timer runs while nothing is folded.
func TestTimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		y := newTally()
		// of the clock: by New, by a timer, and for the time of a folded event
		var reads atomic.Int64
		o := slogObserver(t, y, audit.Events{
			Success: audit.FirstSuccess, SuccessPeriod: time.Hour, Burst: 1,
			Now: func() time.Time { reads.Add(1); return time.Now() },
		})
		for range 2 {
			req := request()
			req.Time = time.Now()
			o.End(req.Context, &req, &attempt.Result{Outcome: attempt.Success, UserName: "alice"}, &attempt.Response{Status: 200})
		}
		for range 2 {
			refuse(o, v4(1), attempt.Failure, "", time.Now())
		}
		time.Sleep(audit.DefaultPeriod * 17 / 16)
		synctest.Wait()
		if got := y.snapshot().folded; got["failure"] != 1 || got["success"] != 0 {
			t.Errorf("after the shorter period: %v", got)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := y.snapshot().folded; got["success"] != 1 {
			t.Errorf("after the longer period: %v", got)
		}
		before := reads.Load()
		refuse(o, v4(2), attempt.Failure, "", time.Now()) // an individual event: nothing is folded
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if reads.Load() != before {
			t.Errorf("the clock was read %d times with nothing folded", reads.Load()-before)
		}
	})
}

// TestNeverFolded: notices are never folded, and denials are not with DangerouslyUnfolded.
func TestNeverFolded(t *testing.T) {
	t.Parallel()
	y := newTally()
	o := slogObserver(t, y, audit.Events{DangerouslyUnfolded: true})
	const n = 500
	for range n {
		refuse(o, v4(1), attempt.Failure, "", began)
		req := request()
		o.Anonymous(req.Context, &req, &attempt.Response{Status: 403})
		end(o, req, attempt.Result{Outcome: attempt.Success}, attempt.Response{Status: 200})
	}
	o2 := slogObserver(t, y, audit.Events{})
	for range n {
		o2.Notice(context.Background(), attempt.Notice{Kind: attempt.ThrottleChanged})
	}
	o.Flush()
	o2.Flush()
	if y.records != 4*n {
		t.Errorf("%d records, want %d", y.records, 4*n)
	}
}

// TestFoldClock: when the clock jumps an hour in either direction, folds are neither lost nor
// kept for an hour, and later events are still emitted.
func TestFoldClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its timers do not fire
		for _, jump := range []time.Duration{-time.Hour, time.Hour} {
			y := newTally()
			now := began
			o := slogObserver(t, y, audit.Events{Now: func() time.Time { return now }})
			flood := func() {
				for range 100 {
					refuse(o, v4(1), attempt.Failure, "", now)
				}
			}
			flood()
			now = now.Add(jump)
			flood()
			if y.single["failure"] != 40 || y.folded["failure"] != 80 {
				t.Errorf("after %v: %v individual, %v folded", jump, y.single, y.folded)
			}
			o.Flush()
			if y.all()["failure"] != 200 {
				t.Errorf("after %v: %v", jump, y.all())
			}
		}
	})
}

// TestFoldedHostileValues: what a client writes cannot grow or forge a folded event.
func TestFoldedHostileValues(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	o := slogObserver(t, bare{enabled{slog.DiscardHandler}, &out}, audit.Events{Success: audit.FirstSuccess, Burst: 1, Every: time.Hour})
	for _, outcome := range []attempt.Outcome{attempt.Failure, attempt.Success} {
		req, res := hostile()
		res.Outcome = outcome
		for range 9 {
			o.End(req.Context, &req, &res, &attempt.Response{Status: 401})
		}
	}
	out.Reset()
	o.Flush()
	if n := strings.Count(out.String(), "\n"); n != 2 || strings.ContainsAny(out.String(), "\r\x00\x1b\u009b\u202e\u2028") {
		t.Errorf("%d lines: %.300q", n, out.String())
	}
	if out.Len() > 8<<10 {
		t.Errorf("%d bytes", out.Len())
	}
}

func TestEventsValidate(t *testing.T) {
	t.Parallel()
	bad := audit.Events{Success: 7, Burst: -1, Entries: 1 << 30, SuccessPeriod: 1, Every: 1, Period: -1, PerSecond: 2}
	_, err := audit.New(audit.Config{Events: bad})
	if _, other := audit.NewSlogEvents(nil, bad); other == nil || err == nil || other.Error() != err.Error() {
		t.Fatalf("%v, %v", err, other)
	}
	lines := strings.Split(err.Error(), "\n")
	for _, field := range []string{"Success", "Burst", "Entries", "SuccessPeriod", "Every", "Period", "PerSecond"} {
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "audit: Events."+field+" is ") }) {
			t.Errorf("no error about %s in\n%v", field, err)
		}
	}
	if len(lines) != 7 {
		t.Errorf("%d errors", len(lines))
	}
}

// TestEventsDefaults checks the numbers in the doc comment of Events: 56 events in the first
// minute, 36 in each further one.
func TestEventsDefaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its timers do not fire
		y := newTally()
		now := began
		o := slogObserver(t, y, audit.Events{Now: func() time.Time { return now }})
		for minute, want := range []int{56, 36, 36, 36} {
			before := y.records
			for range 6000 {
				refuse(o, v4(1), attempt.Throttled, attempt.ReasonBudgetEmpty, now)
				now = now.Add(10 * time.Millisecond)
			}
			if n := y.records - before; n > want || n < want-2 {
				t.Errorf("minute %d: %d events, want %d", minute, n, want)
			}
		}
	})
}
