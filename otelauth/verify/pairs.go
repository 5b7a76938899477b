// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// pairs remembers which (account, network) pairs have succeeded: those get the Gate's weighted lane.
//
// Only a right credential writes here, so no flood of wrong ones can make it forget. It is bounded: 2^16 places
// of 8 bytes. A place holds 40 bits of a seeded hash and the minute of the success; a false match, one in
// 2^37, lends a stranger a better place in a queue and nothing else.
type pairs struct {
	seed   maphash.Seed
	places [1 << 13][ways]atomic.Uint64
}

// pairLife is how long a success makes a pair known.
const pairLife = 30 * 24 * time.Hour

const (
	pairMinuteBits = 24
	pairMinuteMask = 1<<pairMinuteBits - 1
)

type pair struct {
	account string
	network netip.Prefix
}

func newPairs() *pairs { return &pairs{seed: maphash.MakeSeed()} }

func (p *pairs) hash(account string, network netip.Prefix) uint64 {
	return maphash.Comparable(p.seed, pair{account, network})
}

// pairMinute is never 0, so that a taken place is never 0.
func pairMinute(at time.Time) uint64 { return uint64(at.Unix()/60)%pairMinuteMask + 1 }

// known reports whether the pair with this hash succeeded within pairLife.
func (p *pairs) known(h uint64, at time.Time) bool {
	b := &p.places[h%uint64(len(p.places))]
	for i := range b {
		if v := b[i].Load(); v != 0 && v>>pairMinuteBits == h>>pairMinuteBits {
			return pairMinute(at)-v&pairMinuteMask < uint64(pairLife/time.Minute)
		}
	}
	return false
}

// learn notes a success of the pair with this hash, in place of the oldest when its bucket is full.
func (p *pairs) learn(h uint64, at time.Time) {
	b := &p.places[h%uint64(len(p.places))]
	minute := pairMinute(at)
	oldest := 0
	for i := range b {
		v := b[i].Load()
		if v == 0 || v>>pairMinuteBits == h>>pairMinuteBits {
			oldest = i
			break
		}
		if v&pairMinuteMask < b[oldest].Load()&pairMinuteMask {
			oldest = i
		}
	}
	if want := h>>pairMinuteBits<<pairMinuteBits | minute; b[oldest].Load() != want {
		b[oldest].Store(want)
	}
}
