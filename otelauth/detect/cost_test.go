// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
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

// TestFloodKeepsMemoryAndEvidence: a flood neither exceeds the stated memory nor hides one of ten
// attacks. The full test does the same with 30 million attempts.
func TestFloodKeepsMemoryAndEvidence(t *testing.T) {
	hostile := 200_000
	if testkit.Race {
		hostile = 50_000
	}
	t.Logf("the heap grew by %d bytes", flood(t, 1<<9, hostile))
}

func BenchmarkFlood(b *testing.B) {
	const hostile = 1_000_000
	for b.Loop() {
		b.ReportMetric(float64(flood(b, 0, hostile)), "heap-B")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/hostile, "ns/attempt")
}

// guesser is an attack beside a flood. guess returns its i-th guess; owns reports whether a
// detection is about it.
type guesser struct {
	rule  string
	guess func(i int) try
	owns  func(d *detect.Detection) bool
}

// guessers returns ten attacks.
func guessers() (all []guesser) {
	from := func(network string) func(*detect.Detection) bool {
		return func(d *detect.Detection) bool {
			return slices.Contains(d.Networks, netip.MustParsePrefix(network+".0/24"))
		}
	}
	at := func(name string) func(*detect.Detection) bool {
		return func(d *detect.Detection) bool { return slices.Contains(d.Accounts, name) }
	}
	for n := range 2 {
		network, victim, target := fmt.Sprint("198.51.", n), fmt.Sprint("victim", n), fmt.Sprint("target", n)
		spray, stuffing := fmt.Sprint("198.52.", n), fmt.Sprint("198.53.", n)
		all = append(all,
			guesser{detect.BruteForce, func(i int) try { return try{name: victim, password: uint64(i + 1), from: network + ".7"} }, at(victim)},
			guesser{detect.PasswordSpray, func(i int) try { return try{name: fmt.Sprint("user", i), password: uint64(i + 1), from: spray + ".7"} }, from(spray)},
			guesser{detect.CredentialStuffing, func(i int) try {
				return try{name: fmt.Sprint("leaked", i), unknown: i%4 != 0, password: uint64(i + 1), from: stuffing + ".7"}
			}, from(stuffing)},
			guesser{detect.SamePassword, func(i int) try {
				return try{name: fmt.Sprint("same", n, i), password: uint64(1<<50 + n), from: fmt.Sprintf("198.5%d.%d.7", 4+n, i&0xff)}
			}, func(d *detect.Detection) bool {
				return slices.ContainsFunc(d.Networks, func(p netip.Prefix) bool { return p.Addr().As4()[1] == byte(54+n) })
			}},
			guesser{detect.DistributedGuessing, func(i int) try {
				return try{name: target, password: uint64(i + 1), from: fmt.Sprintf("198.6%d.%d.7", n, i&0xff)}
			}, at(target)},
		)
	}
	return all
}

// flood sends attempts of different networks and names, and ten real attacks among them, each of
// which guesses 100 times. It returns the growth of the heap in bytes.
func flood(t testing.TB, entries, hostile int) uint64 {
	t.Helper()
	before := heap()
	w := newWatch(t, func(cfg *detect.Config) { cfg.Entries = entries })
	w.live(20, "owner", "")
	w.found = nil

	attacks := guessers()
	guesses := 0
	for i := range hostile {
		w.now = w.now.Add(time.Millisecond)
		w.hostile(i, attempt.Failure)
		if i%1000 == 0 {
			w.d.Drain(w.now)
		}
		if i%(hostile/(100*len(attacks))) == 0 {
			w.try(attacks[guesses%len(attacks)].guess(guesses / len(attacks)))
			guesses++
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
	for _, a := range attacks {
		if !slices.ContainsFunc(w.found, func(d detect.Detection) bool { return d.Rule.Name == a.rule && !d.Folded && a.owns(&d) }) {
			t.Errorf("%s of %+v is not found", a.rule, a.guess(0))
		}
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

// hostile sends the i-th attempt of a flood: a name that does not exist, from a network of its own.
func (w *watch) hostile(i int, outcome attempt.Outcome) {
	var a [16]byte
	binary.BigEndian.PutUint64(a[:], 0x2001<<48|uint64(i)<<16)
	req := attempt.Request{Context: context.Background(), Time: w.now, Client: netip.AddrFrom16(a), Route: "/orders"}
	res := attempt.Result{
		Outcome: outcome, ErrorType: attempt.InvalidCredentials, Reason: attempt.ReasonUnknownUser,
		UserHash: "h:" + strconv.Itoa(i), PasswordFingerprint: uint64(i) | 1<<62,
	}
	if outcome == attempt.Throttled {
		// One host, whose guesses are refused without a check.
		req.Client, res.Reason, res.ErrorType, res.PasswordFingerprint = netip.MustParseAddr("192.0.2.66"), attempt.ReasonBudgetEmpty, attempt.RateLimited, 0
	}
	_ = w.d.Decide(req.Context, &req, &res)
}

// TestRefusedHostHidesNothing: a host that is refused at 1,000 guesses a second does not hide one
// password that is tried on an account each minute, from a network of its own each time, nor the
// names in its episode.
func TestRefusedHostHidesNothing(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	n := 0
	for i := range 20 {
		w.try(try{name: fmt.Sprint("user", i), password: 7, from: network(i)})
		for range testkit.Repeats(6, 60) {
			for range 1000 {
				w.now = w.now.Add(time.Millisecond)
				w.hostile(n, attempt.Throttled)
				n++
			}
			w.d.Drain(w.now)
		}
	}
	if w.d.Dropped() != 0 || w.starts(detect.SamePassword) != 1 || w.starts("") != 1 {
		t.Fatalf("%d dropped; found %+v", w.d.Dropped(), w.found)
	}
	if d := w.found[0]; len(d.Accounts) != 8 || !slices.Contains(d.Accounts, "user5") {
		t.Errorf("the episode names %v", d.Accounts)
	}
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

// BenchmarkHomes measures the whole CPU time of an attempt of 10,000 accounts, each in one of three
// networks, at the default size. One attempt of thirty is a wrong password.
func BenchmarkHomes(b *testing.B) {
	w := newWatch(b, func(cfg *detect.Config) { cfg.Entries = 0 })
	right, granted := sampleAttempt(attempt.Success)
	wrong, refused := sampleAttempt(attempt.Failure)
	names := make([]string, 10_000)
	for i := range names {
		names[i] = fmt.Sprint("user", i)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		req, res := right, granted
		if n%30 == 0 {
			req, res = wrong, refused
		}
		i := n * 7919 % len(names)
		w.now = w.now.Add(100 * time.Millisecond)
		req.Time, req.Client = w.now, netip.AddrFrom4([4]byte{20, byte(i >> 6), byte(i<<2 | n%3), 7})
		res.UserName, res.UserHash, res.PasswordFingerprint = names[i], names[i], uint64(n)
		_ = w.d.Decide(req.Context, req, res)
		if n++; n%4096 == 0 {
			w.d.Drain(w.now)
		}
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
