// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/internal/postgrestest"
)

func benchStore(b *testing.B, over backend) *Store {
	b.Helper()
	db := over.tables(b)
	for i := range 1000 {
		over.insert(b, db, fmt.Sprint("user", i), bcryptHash)
	}
	cfg := over.config(db)
	cfg.TTL = time.Hour
	return open(b, cfg)
}

// BenchmarkRecallCached is the cost of each recognised credential.
func BenchmarkRecallCached(b *testing.B) {
	s := benchStore(b, sqlite(b))
	ctx := b.Context()
	if a, err := s.Recall(ctx, "user1"); a == nil || err != nil {
		b.Fatal(a, err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if a, _ := s.Recall(ctx, "user1"); a == nil {
				b.Fatal("no account")
			}
		}
	})
}

// BenchmarkLookup compares a known and an unknown name. Their difference is what a client could
// measure, besides the hash.
func BenchmarkLookup(b *testing.B) {
	for name, over := range map[string]func(testing.TB) backend{"sqlite": sqlite, "postgresql": postgres} {
		b.Run(name, func(b *testing.B) {
			s := benchStore(b, over(b))
			for what, pattern := range map[string]string{"account": "user%d", "none": "nobody%d"} {
				b.Run(what, func(b *testing.B) {
					var n atomic.Int64
					b.ReportAllocs()
					for b.Loop() {
						if _, err := s.Lookup(b.Context(), fmt.Sprintf(pattern, n.Add(1)%1000)); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}

// BenchmarkGuess is an attacker's guess against PostgreSQL, at an account and at an unknown name,
// each queried for the first time in TTL. The hash has the lowest cost of bcrypt, so that the
// rest is visible.
func BenchmarkGuess(b *testing.B) {
	for _, name := range []string{"alice", "nobody"} {
		b.Run(name, func(b *testing.B) {
			x := newSite(b, postgrestest.Shared(b), nil)
			n := 0
			for b.Loop() {
				x.clock.Advance(ttl)
				n++
				if res := x.verify(b, name, fmt.Sprint("a-guess-", n)); res.Outcome != attempt.Failure {
					b.Fatal(res.Outcome)
				}
			}
		})
	}
}

func TestCachedLookupDoesNotAllocate(t *testing.T) {
	b := sqlite(t)
	db := b.tables(t)
	b.insert(t, db, "alice", bcryptHash)
	cfg := b.config(db)
	cfg.TTL = time.Hour
	s := open(t, cfg)
	for _, name := range []string{"alice", "nobody"} {
		recall(t, s, name)
		if n := testing.AllocsPerRun(1000, func() { _, _ = s.Recall(t.Context(), name) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
