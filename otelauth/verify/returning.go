// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// returning remembers which credentials have been right from which networks: those get the Gate's
// weighted lane when they are no longer in the cache. It goes by the credential and not by the
// (account, network) pair: a place in a queue shows in the time of an answer, and must show
// nothing to a caller without a right password.
//
// Only a right credential writes here, so no flood of wrong ones can make it forget. It is
// bounded: 2^16 places of 8 bytes. A place holds 40 bits of the keyed MAC and the minute of the
// success; a false match, one in 2^37, lends a stranger a better place in a queue and nothing
// else. It lives and dies with the process.
type returning struct {
	places [1 << 13][ways]atomic.Uint64
}

// returningLife is how long a success is remembered.
const returningLife = 30 * 24 * time.Hour

const (
	returningMinuteBits = 24
	returningMinuteMask = 1<<returningMinuteBits - 1
)

// returningMinute is never 0, so that a taken place is never 0.
func returningMinute(at time.Time) uint64 { return uint64(at.Unix()/60)%returningMinuteMask + 1 }

// place returns the bucket of a credential from one network, and what a place for it holds above
// the minute.
func (r *returning) place(own *mac) (bucket *[ways]atomic.Uint64, tag uint64) {
	h := binary.LittleEndian.Uint64(own[:])
	return &r.places[h%uint64(len(r.places))], h >> returningMinuteBits
}

// has reports whether the credential was right from its network within returningLife.
func (r *returning) has(own *mac, at time.Time) bool {
	b, tag := r.place(own)
	for i := range b {
		if v := b[i].Load(); v != 0 && v>>returningMinuteBits == tag {
			return returningMinute(at)-v&returningMinuteMask < uint64(returningLife/time.Minute)
		}
	}
	return false
}

// learn notes a success of the credential from its network, in place of the oldest when its bucket
// is full.
func (r *returning) learn(own *mac, at time.Time) {
	b, tag := r.place(own)
	minute := returningMinute(at)
	oldest := 0
	for i := range b {
		v := b[i].Load()
		if v == 0 || v>>returningMinuteBits == tag {
			oldest = i
			break
		}
		if v&returningMinuteMask < b[oldest].Load()&returningMinuteMask {
			oldest = i
		}
	}
	if want := tag<<returningMinuteBits | minute; b[oldest].Load() != want {
		b[oldest].Store(want)
	}
}
