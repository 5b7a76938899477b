// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"sync/atomic"
	"time"
)

// mirror remembers in this process which pairs' own budgets are empty and until when, for the question that is asked on every
// recognised credential. Reading it takes no lock. It is bounded: 2^14 places of 16 bytes.
//
// It matters only for pairs that have succeeded, and only those keep their place in a full bucket, so
// no flood of wrong guesses makes it forget. A budget in a shared store that another process emptied is learned with the first
// guess here that the store refuses.
type mirror struct {
	used    atomic.Bool // any place ever was: most processes never meet an empty budget of their own users
	buckets [1 << 11][8]struct{ hash, until atomic.Uint64 }
}

const mirrorKnown = 1 // the lowest bit of until

// until returns the moment until which the budget of the pair with this hash is known to be empty; 0 for most.
func (m *mirror) until(hash uint64) time.Duration {
	b := &m.buckets[hash%uint64(len(m.buckets))]
	for i := range b {
		if b[i].hash.Load() == hash {
			return time.Duration(b[i].until.Load())
		}
	}
	return 0
}

// note remembers that a pair's budget is empty until then.
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
	// A reader between the two stores sees the new pair with the old moment, which is past or
	// costs it one question to the store.
	b[place].hash.Store(hash)
	b[place].until.Store(value)
	m.used.Store(true)
}

// forget ends what note began.
func (m *mirror) forget(hash uint64) {
	b := &m.buckets[hash%uint64(len(m.buckets))]
	for i := range b {
		if b[i].hash.Load() == hash {
			b[i].until.Store(0)
		}
	}
}
