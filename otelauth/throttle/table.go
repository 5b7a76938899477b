// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"encoding/binary"
	"math/bits"
	"time"
)

// record is one budget in memory: recordBytes, no pointers, so the collector never looks at it.
type record struct {
	key     Key
	tat     time.Duration
	epoch   uint32
	present uint16
	former  uint16
	// stamp is, in the table of known pairs, the minute of the last success; elsewhere the tick before
	// which the record must stay, because the sketch still holds a debt that an operator has cleared.
	stamp  uint32
	budget uint8 // 1 + Budget; 0: a free place
}

const recordBytes = 40

func (r *record) holds() Holds {
	return Holds{TAT: r.tat, Epoch: int64(r.epoch), Present: int(r.present), Former: int(r.former)}
}

func (r *record) set(h Holds) {
	r.tat, r.epoch, r.present, r.former = h.TAT, uint32(h.Epoch), uint16(h.Present), uint16(h.Former)
}

func (r *record) open() bool { return r.present != 0 || r.former != 0 }

// ways is how many records share a bucket. With 8, a bucket is five cache lines.
const ways = 8

type bucket [ways]record

// table is a bounded set of records. A record lives in the one bucket that its key names.
type table []bucket

func newTable(bytes int) table { return make(table, max(1, bytes/(ways*recordBytes))) }

func (t table) bucket(k *Key) *bucket {
	// The shard was chosen by the first byte, the bucket is by the last ones.
	i, _ := bits.Mul64(binary.LittleEndian.Uint64(k[:8]), uint64(len(t)))
	return &t[i]
}

// find returns the record of a key, or nil.
func (t table) find(k *Key, b Budget) *record {
	in := t.bucket(k)
	for i := range in {
		if in[i].budget == uint8(b)+1 && in[i].key == *k {
			return &in[i]
		}
	}
	return nil
}

// place returns the place in the bucket that rank says is worth the least, or nil when all are worth keeping. A
// free place is worth nothing; a record with open holds is always worth keeping.
func (t table) place(k *Key, rank func(*record) time.Duration) *record {
	in := t.bucket(k)
	var least *record
	var worth time.Duration
	for i := range in {
		r := &in[i]
		if r.budget == 0 {
			return r
		}
		if r.open() {
			continue
		}
		if w := rank(r); least == nil || w < worth {
			least, worth = r, w
		}
	}
	return least
}
