// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
)

// stated is the memory in the comment of Config.Entries, in bytes.
const stated = 64 << 20

// TestFloodKeepsMemoryAndEvidence: a flood neither exceeds the stated memory nor hides an attack.
// BenchmarkFlood does the same with ten million attempts.
func TestFloodKeepsMemoryAndEvidence(t *testing.T) {
	if testkit.Race {
		flood(t, 50_000)
		return
	}
	t.Logf("the heap grew by %d bytes", flood(t, 500_000))
}

func BenchmarkFlood(b *testing.B) {
	const hostile = 10_000_000
	for b.Loop() {
		b.ReportMetric(float64(flood(b, hostile)), "heap-B")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/hostile, "ns/attempt")
}

// flood sends attempts of different networks and names, and a real attack among them. It returns
// the growth of the heap in bytes.
func flood(t testing.TB, hostile int) uint64 {
	t.Helper()
	before := heap()
	w := newWatch(t, func(cfg *detect.Config) { cfg.Entries = 0 })
	w.live(20, "owner", "")
	w.found = nil

	var req attempt.Request
	var res attempt.Result
	victim := 0
	names := make([]byte, 8)
	for i := range hostile {
		w.now = w.now.Add(time.Millisecond)
		var a [16]byte
		binary.BigEndian.PutUint64(a[:], 0x2001<<48|uint64(i)<<16)
		binary.BigEndian.PutUint64(names, uint64(i))
		req = attempt.Request{Context: context.Background(), Time: w.now, Client: netip.AddrFrom16(a), Route: "/orders"}
		res = attempt.Result{
			Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Reason: attempt.ReasonUnknownUser,
			UserHash: string(names), PasswordFingerprint: uint64(i) | 1<<62,
		}
		_ = w.d.Decide(req.Context, &req, &res)
		if i%1000 == 0 {
			w.d.Drain(w.now)
		}
		if i%(hostile/1000) == 0 {
			victim++
			w.try(try{name: "victim", password: uint64(victim), from: "198.51.100.7"})
		}
	}
	w.d.Drain(w.now)
	if n := w.d.Dropped(); n != 0 {
		t.Fatalf("%d attempts dropped", n)
	}
	grown := heap() - before
	if grown > stated {
		t.Errorf("the Detector takes %d bytes; the comment of Config.Entries states %d", grown, stated)
	}
	var attack *detect.Detection
	for i, d := range w.found {
		if d.Rule.Name == detect.BruteForce && len(d.Accounts) == 1 && d.Accounts[0] == "victim" {
			attack = &w.found[i]
		}
	}
	if attack == nil || attack.Attempts < uint64(victim)/2 {
		t.Errorf("the attack with %d attempts in the flood is %+v", victim, attack)
	}
	w.found = nil
	w.try(try{name: "owner"})
	w.none("the owner in the usual network, after the flood")
	w.try(try{name: "owner", from: "198.51.100.200"})
	if w.starts("") == 0 {
		t.Error("the habits of the owner are forgotten")
	}
	runtime.KeepAlive(w)
	return grown
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestDecideDoesNotAllocate: neither a success nor a guess, nor when the queue is full.
func TestDecideDoesNotAllocate(t *testing.T) {
	if testkit.Race {
		return // the race detector allocates
	}
	w := newWatch(t, func(cfg *detect.Config) { cfg.Queue = 1024 })
	for _, outcome := range []attempt.Outcome{attempt.Success, attempt.Failure, attempt.Missing} {
		req, res := sampleAttempt(outcome)
		if n := testing.AllocsPerRun(1000, func() { _ = w.d.Decide(req.Context, req, res) }); n != 0 {
			t.Errorf("%v: %v allocations", outcome, n)
		}
	}
	if w.d.Dropped() == 0 {
		t.Error("the queue was never full")
	}
}

func sampleAttempt(o attempt.Outcome) (*attempt.Request, *attempt.Result) {
	req := &attempt.Request{
		Context: context.Background(), Time: monday, Scheme: attempt.SchemeBasic, Client: netip.MustParseAddr("192.0.2.7"), Route: "/orders",
	}
	res := &attempt.Result{Outcome: o, UserName: "alice", UserHash: "k:alice", Duration: time.Millisecond}
	if o == attempt.Failure {
		res.ErrorType, res.Reason, res.PasswordFingerprint = attempt.InvalidCredentials, attempt.ReasonWrongPassword, 7
	}
	return req, res
}

// TestFullQueue: attempts that do not fit are counted, and Decide does not block.
func TestFullQueue(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	w := newWatch(t, reportingTo(rec.LoggerProvider(), rec.MeterProvider()), func(cfg *detect.Config) { cfg.Queue = 100 })
	req, res := sampleAttempt(attempt.Success)
	for range 200 {
		_ = w.d.Decide(req.Context, req, res)
	}
	if got := w.d.Dropped(); got != 200-128 {
		t.Errorf("%d dropped of 200 with 128 places", got)
	}
	w.d.Drain(w.now)
	for _, m := range rec.Metrics() {
		if m.Name == authconv.MetricDetectionDropped {
			return
		}
	}
	t.Errorf("no metric %s", authconv.MetricDetectionDropped)
}

// TestRun: Run evaluates concurrent attempts without Drain, and ends with its context.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		found := 0
		w := newWatch(t, func(cfg *detect.Config) {
			cfg.Now = time.Now
			cfg.OnDetection = func(detect.Detection) { mu.Lock(); found++; mu.Unlock() }
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.d.Run(ctx) }()
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for i := range 50 {
					req, res := sampleAttempt(attempt.Failure)
					req.Time = time.Time{}
					res.PasswordFingerprint = uint64(g*50 + i + 1)
					_ = w.d.Decide(req.Context, req, res)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second) // of the bubble
		synctest.Wait()
		mu.Lock()
		if found == 0 {
			t.Error("400 guesses cause no detection")
		}
		mu.Unlock()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	for _, outcome := range []attempt.Outcome{attempt.Success, attempt.Failure, attempt.Missing} {
		b.Run(outcome.String(), func(b *testing.B) {
			w := newWatch(b)
			req, res := sampleAttempt(outcome)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				_ = w.d.Decide(req.Context, req, res)
				if n++; n%4096 == 0 {
					b.StopTimer()
					w.d.Drain(monday)
					b.StartTimer()
				}
			}
		})
	}
}

// BenchmarkTotal measures Decide and the evaluation: the whole CPU time of an attempt.
func BenchmarkTotal(b *testing.B) {
	for _, mix := range []string{"home", "flood"} {
		b.Run(mix, func(b *testing.B) {
			w := newWatch(b)
			req, res := sampleAttempt(attempt.Success)
			if mix == "flood" {
				req, res = sampleAttempt(attempt.Failure)
			}
			b.ReportAllocs()
			n := uint64(0)
			for b.Loop() {
				n++
				if mix == "flood" {
					req.Client = netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
					res.PasswordFingerprint = n
				}
				_ = w.d.Decide(req.Context, req, res)
				if n%4096 == 0 {
					w.d.Drain(monday)
				}
			}
		})
	}
}

func Example() {
	d, err := detect.New(detect.Config{OnDetection: func(d detect.Detection) {
		if d.Phase == detect.Start {
			fmt.Println(d.Rule.Name, d.Rule.Severity, d.Accounts, d.Networks)
		}
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	// A service runs `go d.Run(ctx)` and passes d to its middleware as an observer, which does
	// this:
	for guess := range 40 {
		req := attempt.Request{Context: context.Background(), Time: time.Now(), Client: netip.MustParseAddr("192.0.2.7")}
		res := attempt.Result{
			Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, UserName: "alice", PasswordFingerprint: uint64(guess + 1),
		}
		_ = d.Decide(req.Context, &req, &res)
	}
	d.Drain(time.Now())
	// Output:
	// failure_burst medium [alice] [192.0.2.0/24]
	// brute_force high [alice] [192.0.2.0/24]
}
