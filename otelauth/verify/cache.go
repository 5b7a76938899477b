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

// entry is one verified credential, right or wrong. Only networks and asked ever change.
type entry struct {
	mac   mac
	until time.Duration // on the Engine's monotonic clock

	// name is the claimed name, in memory of its own, and canonical is its identity. Both are
	// empty in the entry of a wrong credential, because people type passwords into the name
	// field.
	name, canonical string
	userHash        string
	account         *Account // nil: no such account
	// The password is the account's previous one; set before other goroutines see the entry.
	previous    bool
	reason      attempt.Reason
	fingerprint uint64 // attempt.Result.PasswordFingerprint of a wrong credential
	// asked is when the store last looked up a wrong credential, on the Engine's monotonic clock.
	asked atomic.Int64

	// networks are the networks that have sent a right credential, newest last, at most
	// maxNetworks. A stored slice never changes.
	networks atomic.Pointer[[]netip.Prefix]
}

// maxNetworks bounds the networks of one entry: a laptop, a phone, an office, a VPN and a fleet
// of pods. A further network evicts the oldest, which is then charged and refunded once, like a
// new one.
const maxNetworks = 16

// wasVerifiedFrom reports whether network has sent the right credential before.
func (e *entry) wasVerifiedFrom(network netip.Prefix) bool {
	known := e.networks.Load()
	return known != nil && slices.Contains(*known, network)
}

// learn adds a network.
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

// ways is the number of entries in a bucket: one cache line of pointers.
const ways = 8

// table is a bounded set of entries that is read without a lock. The MAC of an entry selects its
// bucket. The MAC is keyed, so a client cannot choose a bucket. A full bucket evicts the entry
// that expires first.
type table struct {
	buckets [][ways]atomic.Pointer[entry]
	mask    uint64
}

// newTable returns a table for at least capacity entries, rounded up to a power of two. Each
// empty place takes 8 bytes.
func newTable(capacity int) *table {
	n := 1 << bits.Len(uint(max(capacity, 2*ways)/ways-1))
	return &table{buckets: make([][ways]atomic.Pointer[entry], n), mask: uint64(n - 1)}
}

func (t *table) bucket(m *mac) *[ways]atomic.Pointer[entry] {
	return &t.buckets[binary.LittleEndian.Uint64(m[:])&t.mask]
}

// get returns the live entry of m, or nil. Comparing MACs needs no constant time, because a
// client without the key cannot choose a MAC.
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

// put stores e in the place of the entry with the same MAC, in an empty or expired place, or in
// the place of the entry that expires first.
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

// remove deletes e.
func (t *table) remove(e *entry) {
	b := t.bucket(&e.mac)
	for i := range b {
		b[i].CompareAndSwap(e, nil)
	}
}

// forget deletes the entries of an account and returns their number.
func (t *table) forget(canonical string) (n int) {
	for i := range t.buckets {
		for j := range t.buckets[i] {
			place := &t.buckets[i][j]
			if e := place.Load(); e != nil && e.canonical == canonical && place.CompareAndSwap(e, nil) {
				n++
			}
		}
	}
	return n
}

// len returns the number of used places, including expired entries that no client has sent again.
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
