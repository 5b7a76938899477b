// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

func reportCPU(b *testing.B, run func()) {
	b.Helper()
	before := testkit.CPUTime(b)
	run()
	b.ReportMetric(float64(testkit.CPUTime(b)-before)/float64(b.N), "cpu-ns/op")
}

func BenchmarkHit(b *testing.B) {
	e := newEngine(b, verify.Config{Accounts: newStatic(b, cheap)})
	f := field(b, "alice", "wonderland")
	at, res := time.Now(), attempt.Result{}
	e.Verify(b.Context(), at, f, home, &res)
	b.ReportAllocs()
	for b.Loop() {
		if e.Verify(b.Context(), at, f, home, &res) == nil {
			b.Fatal(res)
		}
	}
}

// BenchmarkMiss compares a bare hash with the same hash behind the Engine.
func BenchmarkMiss(b *testing.B) {
	h := hashed(b, cheap, "wonderland")
	b.Run("raw", func(b *testing.B) {
		reportCPU(b, func() {
			for range b.N {
				h.Verify([]byte("wonderland"))
			}
		})
	})
	b.Run("engine", func(b *testing.B) {
		e := newEngine(b, verify.Config{
			Accounts: newStore(&verify.Account{Name: "alice", Password: h}),
			Identify: func(name string) string { return name },
		})
		reportCPU(b, func() {
			for i := range b.N {
				var res attempt.Result
				e.Verify(b.Context(), time.Now(), guess(b, i), home, &res)
				if !res.Hash.Ran() {
					b.Fatal(res)
				}
			}
		})
	})
}

// guess returns a wrong password that is different for each i.
func guess(b *testing.B, i int) credential.Field {
	b.Helper()
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(i))
	const digits = "0123456789abcdef"
	text := make([]byte, 0, 16)
	for _, v := range n {
		text = append(text, digits[v>>4], digits[v&15])
	}
	return field(b, "alice", string(text))
}

// BenchmarkShed measures a refused attempt while the queue is full of many networks.
func BenchmarkShed(b *testing.B) {
	stop := make(chan struct{})
	gate := verify.NewGate(verify.Limits{Slots: 1, Queued: 1024, MaxWait: time.Hour})
	e := newEngine(b, verify.Config{Verifier: stuck(stop), Gate: gate})
	for i := range 1025 {
		go func() {
			var res attempt.Result
			e.Verify(b.Context(), time.Now(), guess(b, -i-1), network(i), &res)
		}()
	}
	for running, queued := gate.Load(); running+queued < 1025; running, queued = gate.Load() {
		time.Sleep(time.Millisecond)
	}
	b.ReportAllocs()
	reportCPU(b, func() {
		for i := range b.N {
			var res attempt.Result
			e.Verify(b.Context(), time.Now(), guess(b, i), netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32), &res)
			if res.ErrorType != attempt.Overloaded {
				b.Fatal(res)
			}
		}
	})
	close(stop)
}

func newStatic(t testing.TB, p password.Params) *verify.Static {
	t.Helper()
	encoded, err := p.Hash([]byte("wonderland"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &verify.Static{Hashes: map[string]string{"alice": encoded}}
}
