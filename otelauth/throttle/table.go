// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"encoding/binary"
	"math/bits"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// record is one budget in memory: recordBytes, no pointers, so the collector never looks at it.
type record struct {
	key      budget.Key
	tat      time.Duration
	epoch    uint32
	current  uint16
	previous uint16
	// stamp is, in the table of known pairs, the minute of the last success; elsewhere the tick before
	// which the record must stay, because the sketch still holds a debt that an operator has cleared.
	stamp  uint32
	budget uint8 // 1 + Budget; 0: a free place
}

const recordBytes = 40

func (r *record) holds() budget.Holds {
	return budget.Holds{TAT: r.tat, Epoch: int64(r.epoch), Current: int(r.current), Previous: int(r.previous)}
}

func (r *record) set(h budget.Holds) {
	r.tat, r.epoch, r.current, r.previous = h.TAT, uint32(h.Epoch), uint16(h.Current), uint16(h.Previous)
}

func (r *record) open() bool { return r.current != 0 || r.previous != 0 }

// ways is how many records share a bucket. With 8, a bucket is five cache lines.
const ways = 8

type bucket [ways]record

// table is a bounded set of records. A record lives in the one bucket that its key names. A table takes its memory at the first
// record and doubles when a bucket is full, up to its bound: a service with a hundred users pays for a hundred.
type table struct {
	buckets []bucket
	first   int // how many buckets it begins with
	bound   int // how many it has at most
}

// A table begins with 16 to 31 buckets, so that what is lost of its bound by doubling is less than a 16th.
const leastBuckets = 16

func newTable(bytes int) table {
	bound := max(1, bytes/(ways*recordBytes))
	first := bound
	for first >= 2*leastBuckets {
		first /= 2
	}
	return table{first: first, bound: bound}
}

// bucket returns the bucket of a key, or nil while the table has none.
func (t *table) bucket(k *budget.Key) *bucket {
	if len(t.buckets) == 0 {
		return nil
	}
	// The shard was chosen by the first byte, the bucket is by the last ones.
	i, _ := bits.Mul64(binary.LittleEndian.Uint64(k[:8]), uint64(len(t.buckets)))
	return &t.buckets[i]
}

// grow makes the table, or doubles it, and reports whether its bound allowed that. The records of one bucket go to two, so there
// is room for all of them. What find and place returned before points into the former table.
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

// free returns a free place in the bucket of a key, or nil.
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

// place returns the place in the bucket that rank says is worth the least, or nil when all are worth keeping. A
// free place is worth nothing; a record with open holds is always worth keeping. Where every place is taken the
// table grows, if it may.
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
