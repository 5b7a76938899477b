// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package pairs remembers for a while which pairs of a credential or account and a network have
// succeeded.
package pairs

import (
	"encoding/binary"
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
	s.put(s.bucket(pair), pair>>tickBits<<tickBits|stored(now))
}

// put stores a value in the place of its pair, in a free one, or in that of the oldest pair.
func (s *Set) put(b *[ways]atomic.Uint64, value uint64) {
	oldest := 0
	for i := range b {
		v := b[i].Load()
		if v == 0 || v>>tickBits == value>>tickBits {
			oldest = i
			break
		}
		if v&tickMask < b[oldest].Load()&tickMask {
			oldest = i
		}
	}
	if b[oldest].Load() != value {
		b[oldest].Store(value)
	}
}

// AppendStored appends the content of s to b, for [Set.Restore] after a restart. The keyed hashes
// in it are those of the caller's key.
func (s *Set) AppendStored(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(s.buckets)))
	free := uint64(0)
	for i := range s.buckets {
		for j := range s.buckets[i] {
			v := s.buckets[i][j].Load()
			if v == 0 {
				free++
				continue
			}
			b = binary.AppendUvarint(b, free)
			b = binary.LittleEndian.AppendUint64(b, v)
			free = 0
		}
	}
	return b
}

// Restore adds what AppendStored has returned, of a Set with the same clock and any capacity. It
// reports whether stored has the right form.
func (s *Set) Restore(stored []byte) bool {
	buckets, n := binary.Uvarint(stored)
	if n <= 0 || buckets == 0 || buckets&(buckets-1) != 0 || buckets > 1<<40 {
		return false
	}
	for at := uint64(0); ; at++ {
		stored = stored[n:]
		if len(stored) == 0 {
			return true
		}
		var free uint64
		if free, n = binary.Uvarint(stored); n <= 0 || len(stored) < n+8 || free > buckets*ways {
			return false
		}
		v := binary.LittleEndian.Uint64(stored[n:])
		n += 8
		at += free
		from := at / ways
		if v == 0 || from >= buckets {
			return false
		}
		// The bits of a pair that choose its bucket are not stored. In a larger Set the pair goes to
		// each bucket that it can belong to.
		for to := from & uint64(len(s.buckets)-1); to < uint64(len(s.buckets)); to += buckets {
			s.put(&s.buckets[to], v)
		}
	}
}
