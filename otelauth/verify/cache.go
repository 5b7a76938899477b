// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// entry is one judged credential. It is immutable but for networks and asked.
type entry struct {
	mac   mac
	until time.Duration // on the Engine's monotonic clock

	// name is as claimed, in memory of its own, canonical the store's identity of it. A wrong credential's entry has
	// neither: people type passwords into the name field.
	name, canonical string
	userHash        string
	account         *Account // nil: no such account
	previous        bool     // the password is the account's previous one; set before the entry is shared
	reason          attempt.Reason
	fingerprint     uint64 // attempt.Result.PasswordFingerprint, where the credential is wrong
	// asked is when the store was last asked about a wrong credential, on the Engine's monotonic
	// clock.
	asked atomic.Int64

	// networks are those from which a right credential has come, newest last, at
	// most maxNetworks; a slice is never changed once it is stored.
	networks atomic.Pointer[[]netip.Prefix]
}

// maxNetworks bounds the networks of one entry: a laptop, a phone, an office, a VPN and a fleet of pods. One
// more forgets the oldest, which is then charged and refunded once like any new one.
const maxNetworks = 16

func (e *entry) knows(network netip.Prefix) bool {
	known := e.networks.Load()
	return known != nil && slices.Contains(*known, network)
}

func (e *entry) learn(network netip.Prefix) {
	for {
		old := e.networks.Load()
		var grown []netip.Prefix
		if old != nil {
			if slices.Contains(*old, network) {
				return
			}
			grown = append(grown, (*old)[max(0, len(*old)-maxNetworks+1):]...)
		}
		grown = append(grown, network)
		if e.networks.CompareAndSwap(old, &grown) {
			return
		}
	}
}

// ways is how many entries share a bucket: one cache line of pointers.
const ways = 8

// table is a bounded set of entries, read without any lock. An entry lives in the one bucket that its
// MAC names; since the MAC is keyed, nobody outside can aim at a bucket. A full bucket gives up what
// expires first.
type table struct {
	buckets [][ways]atomic.Pointer[entry]
	mask    uint64
}

// newTable holds at least capacity entries: capacity rounded up to a power of two, 8 bytes each when empty.
func newTable(capacity int) *table {
	n := 1 << bits.Len(uint(max(capacity, 2*ways)/ways-1))
	return &table{buckets: make([][ways]atomic.Pointer[entry], n), mask: uint64(n - 1)}
}

func (t *table) bucket(m *mac) *[ways]atomic.Pointer[entry] {
	return &t.buckets[binary.LittleEndian.Uint64(m[:])&t.mask]
}

// get returns the live entry of m, or nil. Comparing MACs needs no constant time: whoever lacks the
// key cannot choose one.
func (t *table) get(m *mac, now time.Duration) *entry {
	b := t.bucket(m)
	for i := range b {
		if e := b[i].Load(); e != nil && e.mac == *m {
			if now >= e.until {
				b[i].CompareAndSwap(e, nil)
				return nil
			}
			return e
		}
	}
	return nil
}

// put stores e in place of the entry with the same MAC, an empty or dead place, or the one that expires first.
func (t *table) put(e *entry, now time.Duration) {
	b := t.bucket(&e.mac)
	for {
		victim, old := 0, (*entry)(nil)
		best := time.Duration(1<<63 - 1)
		for i := range b {
			have := b[i].Load()
			if have != nil && have.mac == e.mac {
				victim, old = i, have
				break
			}
			rank := time.Duration(-1)
			if have != nil && now < have.until {
				rank = have.until
			}
			if rank < best {
				victim, old, best = i, have, rank
			}
		}
		if b[victim].CompareAndSwap(old, e) {
			return
		}
	}
}

// remove forgets e.
func (t *table) remove(e *entry) {
	b := t.bucket(&e.mac)
	for i := range b {
		b[i].CompareAndSwap(e, nil)
	}
}

// len counts the places taken, expired entries that nobody asked for again included.
func (t *table) len() int {
	n := 0
	for i := range t.buckets {
		for j := range t.buckets[i] {
			if t.buckets[i][j].Load() != nil {
				n++
			}
		}
	}
	return n
}
