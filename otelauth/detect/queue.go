// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import "sync/atomic"

// queue hands samples from the requests to the one who adds them up: a bounded ring with a sequence number in each
// place (Vyukov's MPMC queue, with one consumer). put neither blocks nor allocates.
type queue struct {
	places []queued
	mask   uint64
	_      [48]byte // the producers' counter and the consumer's on cache lines of their own
	tail   atomic.Uint64
	_      [56]byte
	head   uint64 // the consumer's alone
}

type queued struct {
	seq atomic.Uint64
	s   sample
}

// newQueue makes a queue of size places, a power of two.
func newQueue(size int) *queue {
	q := &queue{places: make([]queued, size), mask: uint64(size - 1)}
	for i := range q.places {
		q.places[i].seq.Store(uint64(i))
	}
	return q
}

// claim returns a free place to fill and publish with seq.Store(pos+1); nil when the queue is full.
func (q *queue) claim() (p *queued, pos uint64) {
	pos = q.tail.Load()
	for {
		p = &q.places[pos&q.mask]
		switch seq := p.seq.Load(); {
		case seq == pos:
			if q.tail.CompareAndSwap(pos, pos+1) {
				return p, pos
			}
			pos = q.tail.Load()
		case seq < pos:
			return nil, 0
		default:
			pos = q.tail.Load()
		}
	}
}

// get moves the oldest sample to s.
func (q *queue) get(s *sample) bool {
	p := &q.places[q.head&q.mask]
	if p.seq.Load() != q.head+1 {
		return false
	}
	*s = p.s
	p.s = sample{} // its strings are not kept alive by an idle queue
	p.seq.Store(q.head + uint64(len(q.places)))
	q.head++
	return true
}
