// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// record is one budget in memory. It has no pointers, so the garbage collector never scans it.
type record struct {
	key      budget.Key
	tat      time.Duration
	epoch    uint32
	current  uint16
	previous uint16
	// stamp is, in the table of known pairs, the minute of the last success. Elsewhere it is the
	// tick until which the record must stay, because the sketch holds a debt that an operator has
	// cleared.
	stamp  uint32
	budget uint8 // 1 + budget.Kind; 0: free
}

const recordBytes = 40

func (r *record) holds() budget.Holds {
	return budget.Holds{TAT: r.tat, Epoch: int64(r.epoch), Current: int(r.current), Previous: int(r.previous)}
}

func (r *record) set(h budget.Holds) {
	r.tat, r.epoch, r.current, r.previous = h.TAT, uint32(h.Epoch), uint16(h.Current), uint16(h.Previous)
}

func (r *record) open() bool { return r.current != 0 || r.previous != 0 }

// ways is the number of records in a bucket. With 8, a bucket takes five cache lines.
const ways = 8

type bucket [ways]record

// table is a bounded set of records. The key of a record determines its bucket. A table allocates
// memory at the first record and doubles when a bucket is full, up to its bound, so that a service
// with a hundred users pays for a hundred.
type table struct {
	buckets []bucket
	first   int // number of buckets at first
	bound   int // maximum number of buckets
}

// leastBuckets limits what doubling loses of the bound: a table begins with 16 to 31 buckets, so
// it loses less than a 16th.
const leastBuckets = 16

func newTable(bytes int) table {
	bound := max(1, bytes/(ways*recordBytes))
	first := bound
	for first >= 2*leastBuckets {
		first /= 2
	}
	return table{first: first, bound: bound}
}

// bucket returns the bucket of a key, or nil if the table is empty.
func (t *table) bucket(k *budget.Key) *bucket {
	if len(t.buckets) == 0 {
		return nil
	}
	// The first byte selects the shard, the last ones select the bucket.
	i, _ := bits.Mul64(binary.LittleEndian.Uint64(k[:8]), uint64(len(t.buckets)))
	return &t.buckets[i]
}

// grow allocates the table or doubles it. It returns false at the bound. The records of one bucket
// go to two, so all of them fit. Pointers that find and place returned before become stale.
func (t *table) grow() bool {
	if t.buckets == nil {
		t.buckets = make([]bucket, t.first)
		return true
	}
	if 2*len(t.buckets) > t.bound {
		return false
	}
	old := t.buckets
	t.buckets = make([]bucket, 2*len(old))
	for i := range old {
		for j := range old[i] {
			r := &old[i][j]
			if r.budget == 0 {
				continue
			}
			to := t.bucket(&r.key)
			for n := range to {
				if to[n].budget == 0 {
					to[n] = *r
					break
				}
			}
		}
	}
	return true
}

// find returns the record of a key, or nil.
func (t *table) find(k *budget.Key, b budget.Kind) *record {
	in := t.bucket(k)
	if in == nil {
		return nil
	}
	for i := range in {
		if in[i].budget == uint8(b)+1 && in[i].key == *k {
			return &in[i]
		}
	}
	return nil
}

// free returns a free record in the bucket of a key, or nil.
func (t *table) free(k *budget.Key) *record {
	in := t.bucket(k)
	if in == nil {
		return nil
	}
	for i := range in {
		if in[i].budget == 0 {
			return &in[i]
		}
	}
	return nil
}

// place returns the record to use for a new key: a free one, or the one that rank values least. It
// grows the table first if the bucket is full. It never returns a record with unsettled guesses,
// and nil if all have some.
func (t *table) place(k *budget.Key, rank func(*record) time.Duration) *record {
	if r := t.free(k); r != nil {
		return r
	}
	for t.grow() {
		if r := t.free(k); r != nil {
			return r
		}
	}
	in := t.bucket(k)
	var least *record
	var worth time.Duration
	for i := range in {
		r := &in[i]
		if r.open() {
			continue
		}
		if w := rank(r); least == nil || w < worth {
			least, worth = r, w
		}
	}
	return least
}
