// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// instant is a Verifier that costs nothing.
type instant struct{}

func (instant) Verify(_ context.Context, name string, secret credential.Secret) (*verify.Account, error) {
	if string(secret.Expose()) == "wonderland" {
		return &verify.Account{Name: name}, nil
	}
	return nil, nil
}

// BenchmarkCachedSuccess measures a recognised credential from a known network: without budgets,
// with budgets, and while the budgets of other pairs are empty.
func BenchmarkCachedSuccess(b *testing.B) {
	for _, c := range []struct {
		name string
		th   func() throttle.Throttle
	}{
		{"bare", func() throttle.Throttle { return throttle.DangerouslyNone{} }},
		{"throttled", func() throttle.Throttle { return newGuesses(b, throttle.Config{}) }},
		{"underAttack", func() throttle.Throttle {
			th := newGuesses(b, throttle.Config{})
			for i := range 1000 {
				wrong(b, th, guess("bob", fmt.Sprint(i), host(i%4)))
			}
			return th
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			e, err := verify.New(verify.Config{Verifier: instant{}, Throttle: c.th(), TTL: time.Hour})
			if err != nil {
				b.Fatal(err)
			}
			f, network := basic(b, "alice", "wonderland"), netip.MustParsePrefix(home)
			var res attempt.Result
			at := time.Now()
			e.Verify(b.Context(), at, f, network, &res)
			b.ReportAllocs()
			for b.Loop() {
				res = attempt.Result{}
				if e.Verify(b.Context(), at, f, network, &res) == nil {
					b.Fatal(res)
				}
			}
		})
	}
}

// BenchmarkRefused measures a refused guess with the memory store.
func BenchmarkRefused(b *testing.B) {
	th := newGuesses(b, throttle.Config{})
	for i := range 10 {
		wrong(b, th, guess("alice", fmt.Sprint(i), office))
	}
	g := guess("alice", "more", office)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		g.Fingerprint[0], g.Fingerprint[1], g.Fingerprint[2] = byte(i), byte(i>>8), byte(i>>16)
		if d, err := th.Spend(b.Context(), g); err != nil || d.Verdict != throttle.Refused {
			b.Fatal(d, err)
		}
	}
}

// BenchmarkSpendAndSettle measures a guess that is paid for and settled.
func BenchmarkSpendAndSettle(b *testing.B) {
	for _, s := range []struct {
		name string
		how  throttle.Settlement
	}{{"right", throttle.Right}, {"wrong", throttle.Wrong}} {
		b.Run(s.name, func(b *testing.B) {
			th := newGuesses(b, throttle.Config{Limits: throttle.Limits{
				NewPair:   throttle.Limit{Burst: 50, Every: time.Millisecond},
				KnownPair: throttle.Limit{Burst: 50, Every: time.Millisecond},
				Account:   throttle.Limit{Burst: 50, Every: time.Millisecond},
				Network:   throttle.Limit{Burst: 300, Every: time.Millisecond},
				Site:      throttle.Limit{Burst: 300, Every: time.Millisecond},
			}})
			g := guess("alice", "wonderland", home)
			b.ReportAllocs()
			for b.Loop() {
				settle(b, th, g, s.how)
			}
		})
	}
}

func BenchmarkExhausted(b *testing.B) {
	th := newGuesses(b, throttle.Config{})
	g := guess("alice", "wonderland", home)
	b.Run("quiet", func(b *testing.B) {
		for b.Loop() {
			th.Exhausted(g)
		}
	})
	c := newClock()
	th = newGuesses(b, throttle.Config{Elapsed: c.Elapsed})
	settle(b, th, g, throttle.Right)
	for i := range 100 {
		wrong(b, th, guess("alice", fmt.Sprint(i), home))
	}
	b.Run("empty", func(b *testing.B) {
		for b.Loop() {
			if !th.Exhausted(g) {
				b.Fatal("not empty")
			}
		}
	})
}

// BenchmarkFlood sends ten million distinct names and networks, 5,000 hashed and wrong a second:
// run it with -benchtime 10000000x. The default store stays within its bound, and flood asserts
// that the count of a real attack and the owner survive.
func BenchmarkFlood(b *testing.B) {
	c := newClock()
	m := newMemory(b, throttle.MemoryConfig{Elapsed: c.Elapsed, Now: c.Now})
	th := newGuesses(b, throttle.Config{Store: m, Elapsed: c.Elapsed, Now: c.Now})
	b.ReportAllocs()
	b.ResetTimer()
	flood(b, th, c, max(b.N, 100))
	b.ReportMetric(float64(m.Len()), "budgets")
}
