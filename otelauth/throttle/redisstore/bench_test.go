// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budgettest"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
)

// measure reports the 99th percentile beside the mean.
func measure(b *testing.B, do func()) {
	took := make([]time.Duration, 0, 1<<20)
	b.ReportAllocs()
	for b.Loop() {
		start := time.Now()
		do()
		if len(took) < cap(took) {
			took = append(took, time.Since(start))
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-µs/op")
}

// BenchmarkGuess measures what a cache miss pays for its budgets: Spend, and queueing the Settle.
// p99-µs/op is of Spend and Settle together.
func BenchmarkGuess(b *testing.B) {
	full := func() budget.Bill {
		v := bill(1, budget.MaxBurst)
		for i := budget.Pair; i <= budget.Site; i++ {
			v.Charges[i] = budget.Charge{Key: budgettest.Key(fmt.Sprint("budget", i)), Limit: budget.Limit{Burst: budget.MaxBurst, Every: time.Millisecond}}
		}
		return v
	}
	memory, err := throttle.NewMemory(throttle.MemoryConfig{Bytes: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	run := func(b *testing.B, s budget.Store) {
		v := full()
		measure(b, func() {
			a, err := s.Spend(ctx, v)
			if err != nil || a.Verdict == throttle.Refused {
				b.Fatal(a, err)
			}
			s.Settle(ctx, v, a.Receipt, throttle.Unjudged)
		})
	}
	b.Run("ping", func(b *testing.B) { // the cost of any round trip on this machine
		c := redis.NewClient(&redis.Options{Addr: startRedis(b).Addr})
		b.Cleanup(func() { _ = c.Close() })
		measure(b, func() { c.Ping(ctx) })
	})
	b.Run("memory", func(b *testing.B) { run(b, memory) })
	b.Run("redis", func(b *testing.B) {
		srv := startRedis(b)
		c := redis.NewClient(&redis.Options{Addr: srv.Addr})
		b.Cleanup(func() { _ = c.Close() })
		s := newStore(b, redisstore.Config{Client: c})
		run(b, s)
		if !s.Shared() {
			b.Error("the fallback has answered")
		}
	})
	b.Run("redis lost", func(b *testing.B) {
		srv := startRedis(b)
		c := redis.NewClient(&redis.Options{Addr: srv.Addr})
		b.Cleanup(func() { _ = c.Close() })
		s := newStore(b, redisstore.Config{Client: c, ProbeEvery: time.Hour})
		srv.Kill()
		for s.Shared() {
			_, _ = s.Spend(ctx, full())
		}
		run(b, s)
	})
}

// BenchmarkGuessParallel measures the same with many guesses at once.
func BenchmarkGuessParallel(b *testing.B) {
	srv := startRedis(b)
	c := redis.NewClient(&redis.Options{Addr: srv.Addr})
	b.Cleanup(func() { _ = c.Close() })
	s := newStore(b, redisstore.Config{Client: c})
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		v := bill(1, budget.MaxBurst)
		for pb.Next() {
			a, err := s.Spend(ctx, v)
			if err != nil {
				b.Error(err)
			}
			s.Settle(ctx, v, a.Receipt, throttle.Unjudged)
		}
	})
}
