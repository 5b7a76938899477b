// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package pairs remembers for a while which pairs of a credential or account and a network have
// succeeded.
package pairs

import (
	"math/bits"
	"sync/atomic"
)

const (
	// ways is the number of places in a bucket.
	ways = 8

	tickBits = 24
	tickMask = 1<<tickBits - 1
)

// Set is a bounded set of pairs. A pair is a keyed hash, so a caller who does not know the key
// cannot choose its bucket. Only a success may write, so a flood of failures evicts nothing; a full
// bucket forgets its oldest pair. A pair takes 8 bytes: 40 bits of the hash and 24 bits of time. A
// pair that was never added is found with a chance of 1 in 2^37.
//
// Create it with [New]. It is safe for concurrent use; of two pairs that are added to one bucket at
// the same time, one may be lost.
type Set struct {
	buckets [][ways]atomic.Uint64
	life    uint64
}

// New returns a Set for capacity pairs, rounded up to a power of two. It forgets a pair after life
// ticks of the caller's clock, at most 2^24-2.
func New(capacity int, life uint32) *Set {
	n := 1 << bits.Len(uint(max(capacity, 2*ways)/ways-1))
	return &Set{make([][ways]atomic.Uint64, n), uint64(life)}
}

func (s *Set) bucket(pair uint64) *[ways]atomic.Uint64 {
	return &s.buckets[pair>>1&uint64(len(s.buckets)-1)]
}

// stored returns a tick as it is stored. It is never 0, so a used place is never 0.
func stored(tick uint64) uint64 { return tick%tickMask + 1 }

// Contains reports whether pair was added less than a life before the tick now.
func (s *Set) Contains(pair, now uint64) bool {
	b := s.bucket(pair)
	for i := range b {
		if v := b[i].Load(); v != 0 && v>>tickBits == pair>>tickBits {
			return stored(now)-v&tickMask < s.life
		}
	}
	return false
}

// Add stores pair, or the time of a pair that is stored.
func (s *Set) Add(pair, now uint64) {
	b := s.bucket(pair)
	oldest := 0
	for i := range b {
		v := b[i].Load()
		if v == 0 || v>>tickBits == pair>>tickBits {
			oldest = i
			break
		}
		if v&tickMask < b[oldest].Load()&tickMask {
			oldest = i
		}
	}
	if v := pair>>tickBits<<tickBits | stored(now); b[oldest].Load() != v {
		b[oldest].Store(v)
	}
}
