// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"math/bits"
	"reflect"
)

// ways is the number of entries in a bucket.
const ways = 8

// table is a bounded map from keyed hashes to evidence. The key selects the bucket of an entry,
// and the key of the hash is secret, so an attacker cannot choose a bucket. A full bucket evicts
// its weakest entry: the one with the least weight, halved for each halfLife without evidence,
// and among equals the oldest. So names and networks that appear once evict each other, and
// gathered evidence stays.
type table[E any] struct {
	buckets  [][ways]place[E]
	halfLife uint32 // seconds
	life     uint32 // seconds after which the evidence of an entry is over
	live     int
	evicted  uint64 // entries whose evidence was not over
	// drop, if not nil, frees what an evicted entry holds.
	drop func(*E)
	// lose, if not nil, is called before an entry is evicted whose evidence is not over.
	lose func(bucket int, p *place[E])
}

type place[E any] struct {
	key    uint64 // 0 if free
	last   uint32 // time of the last evidence, in seconds of the engine
	weight uint32
	value  E
}

func newTable[E any](capacity int, halfLife, life uint32) *table[E] {
	n := 1 << bits.Len(uint(max(capacity, 2*ways)/ways-1))
	return &table[E]{buckets: make([][ways]place[E], n), halfLife: halfLife, life: life}
}

// bucketOf returns the index of the bucket of a key.
func (t *table[E]) bucketOf(key uint64) int { return int((key >> 16) & uint64(len(t.buckets)-1)) }

func (t *table[E]) bucket(key uint64) *[ways]place[E] { return &t.buckets[t.bucketOf(key)] }

func (t *table[E]) get(key uint64) *place[E] {
	b := t.bucket(key)
	for i := range b {
		if b[i].key == key {
			return &b[i]
		}
	}
	return nil
}

// touch adds weight to the entry of key and returns it. A new entry replaces the weakest of its
// bucket.
func (t *table[E]) touch(key uint64, now, weight uint32) *place[E] {
	b := t.bucket(key)
	weakest := 0
	for i := range b {
		p := &b[i]
		if p.key == key {
			p.weight = min(t.strength(p, now)+weight, maxWeight)
			p.last = now
			return p
		}
		if t.weaker(p, &b[weakest], now) {
			weakest = i
		}
	}
	p := &b[weakest]
	if p.key == 0 {
		t.live++
	} else {
		t.evict(t.bucketOf(key), p, now)
	}
	*p = place[E]{key: key, last: now, weight: weight}
	return p
}

func (t *table[E]) evict(bucket int, p *place[E], now uint32) {
	if now-min(p.last, now) < t.life {
		t.evicted++
		if t.lose != nil {
			t.lose(bucket, p)
		}
	}
	if t.drop != nil {
		t.drop(&p.value)
	}
}

// clear frees what the entries hold. The table must not be used afterwards.
func (t *table[E]) clear() {
	for i := range t.buckets {
		for j := range t.buckets[i] {
			t.drop(&t.buckets[i][j].value)
		}
	}
}

// used returns the number of entries whose evidence is not over at now.
func (t *table[E]) used(now uint32) (n int) {
	for i := range t.buckets {
		for j := range t.buckets[i] {
			if p := &t.buckets[i][j]; p.key != 0 && now-min(p.last, now) < t.life {
				n++
			}
		}
	}
	return n
}

const maxWeight = 1 << 24

func (t *table[E]) strength(p *place[E], now uint32) uint32 {
	age := (max(now, p.last) - p.last) / t.halfLife
	return p.weight >> min(age, 31)
}

func (t *table[E]) weaker(p, q *place[E], now uint32) bool {
	if p.key == 0 || q.key == 0 {
		return p.key == 0 && q.key != 0
	}
	ps, qs := t.strength(p, now), t.strength(q, now)
	return ps < qs || ps == qs && p.last < q.last
}

// save writes the entries in the order of their buckets.
func (t *table[E]) save(e *encoder, name string) {
	e.tag(name, sized)
	e.within(func() {
		for i := range t.buckets {
			for j := range t.buckets[i] {
				if p := &t.buckets[i][j]; p.key != 0 {
					e.value(reflect.ValueOf(p).Elem())
				}
			}
		}
	})
}

// load reads the entries. If the table is smaller than the one that was saved, the weakest are
// dropped.
func (t *table[E]) load(d *decoder) {
	d.within(func() {
		for len(d.b) > 0 {
			var p place[E]
			if d.value(reflect.ValueOf(&p).Elem()); d.bad || p.key == 0 {
				d.fail()
				return
			}
			to := t.touch(p.key, p.last, p.weight)
			*to = p
		}
	})
}
