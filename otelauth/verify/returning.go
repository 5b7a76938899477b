// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/binary"
	"sync/atomic"
	"time"
)

// returning remembers which credentials were right from which networks. They use the Gate's
// favoured lane after they have left the cache. The key is the credential and not the (account,
// network) pair: the time of an answer shows the place in the queue, which must show nothing
// without the right password.
//
// Only a right credential writes here, so a flood of wrong ones evicts nothing. The memory is
// bounded: 2^16 places of 8 bytes. A place holds 40 bits of the keyed MAC and the minute of the
// success. A false match has a chance of 1 in 2^37 and only gives a stranger a better place in a
// queue. The memory is lost when the process ends.
type returning struct {
	places [1 << 13][ways]atomic.Uint64
}

// returningLife is how long a success is remembered.
const returningLife = 30 * 24 * time.Hour

const (
	returningMinuteBits = 24
	returningMinuteMask = 1<<returningMinuteBits - 1
)

// returningMinute returns the minute of at as it is stored. It is never 0, so a used place is
// never 0.
func returningMinute(at time.Time) uint64 { return uint64(at.Unix()/60)%returningMinuteMask + 1 }

// place returns the bucket of a credential from one network, and the bits that a place for it
// holds above the minute.
func (r *returning) place(own *mac) (bucket *[ways]atomic.Uint64, tag uint64) {
	h := binary.LittleEndian.Uint64(own[:])
	return &r.places[h%uint64(len(r.places))], h >> returningMinuteBits
}

// contains reports whether the credential was right from its network within returningLife.
func (r *returning) contains(own *mac, at time.Time) bool {
	b, tag := r.place(own)
	for i := range b {
		if v := b[i].Load(); v != 0 && v>>returningMinuteBits == tag {
			return returningMinute(at)-v&returningMinuteMask < uint64(returningLife/time.Minute)
		}
	}
	return false
}

// learn stores a success of the credential from its network. In a full bucket it replaces the
// oldest success.
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
