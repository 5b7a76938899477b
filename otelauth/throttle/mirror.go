// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"sync/atomic"
	"time"
)

// mirror records in this process which pairs have an empty reserve, and until when.
// [Budgets.Exhausted] asks it for every recognised credential, so reading takes no lock. It is
// bounded: 2^14 entries of 16 bytes.
//
// It matters only for pairs that have succeeded, and only those keep their entry in a full bucket.
// So no flood of wrong guesses evicts them. If another process emptied a reserve in a shared
// store, the first guess that the store refuses here adds the entry.
type mirror struct {
	used    atomic.Bool // false until the first entry; most processes never have one
	buckets [1 << 11][8]struct{ hash, until atomic.Uint64 }
}

const mirrorKnown = 1 // the lowest bit of until

// until returns the moment until which the reserve of the pair with this hash is empty; 0 if it is
// not known to be empty.
func (m *mirror) until(hash uint64) time.Duration {
	b := &m.buckets[hash%uint64(len(m.buckets))]
	for i := range b {
		if b[i].hash.Load() == hash {
			return time.Duration(b[i].until.Load())
		}
	}
	return 0
}

// note records that the reserve of a pair is empty until the given moment.
func (m *mirror) note(hash uint64, known bool, until, now time.Duration) {
	value := uint64(until) &^ mirrorKnown
	if known {
		value = uint64(until-1) | mirrorKnown // never later than until
	}
	b := &m.buckets[hash%uint64(len(m.buckets))]
	place, rank := -1, ^uint64(0)
	for i := range b {
		have := b[i].until.Load()
		if b[i].hash.Load() == hash {
			place = i
			break
		}
		r := have
		switch {
		case time.Duration(have) <= now:
			r = 0
		case have&mirrorKnown != 0 && !known:
			continue
		case have&mirrorKnown != 0:
			r |= 1 << 63
		}
		if r < rank || place < 0 {
			place, rank = i, r
		}
	}
	if place < 0 {
		return
	}
	// A reader between the two stores sees the new pair with the old moment. That moment has
	// passed, or costs the pair one question to the store.
	b[place].hash.Store(hash)
	b[place].until.Store(value)
	m.used.Store(true)
}

// forget removes the entry of a pair.
func (m *mirror) forget(hash uint64) {
	b := &m.buckets[hash%uint64(len(m.buckets))]
	for i := range b {
		if b[i].hash.Load() == hash {
			b[i].until.Store(0)
		}
	}
}
