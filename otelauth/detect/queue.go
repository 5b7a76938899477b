// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import "sync/atomic"

// queue passes samples from requests to the goroutine that evaluates them: a bounded ring with a
// sequence number in each place (Vyukov's MPMC queue, with one consumer). claim neither blocks nor
// allocates.
type queue struct {
	places []queued
	mask   uint64
	_      [48]byte // keeps the counters of producers and consumer on separate cache lines
	tail   atomic.Uint64
	_      [56]byte
	head   uint64 // used by the consumer only
}

type queued struct {
	seq atomic.Uint64
	s   sample
}

// newQueue returns a queue with size places. size must be a power of two.
func newQueue(size int) *queue {
	q := &queue{places: make([]queued, size), mask: uint64(size - 1)}
	for i := range q.places {
		q.places[i].seq.Store(uint64(i))
	}
	return q
}

// claim returns a free place, which the caller fills and publishes with seq.Store(pos+1). It
// returns nil if the queue is full.
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

// get moves the oldest sample to s. It reports whether there was one.
func (q *queue) get(s *sample) bool {
	p := &q.places[q.head&q.mask]
	if p.seq.Load() != q.head+1 {
		return false
	}
	*s = p.s
	p.s = sample{} // an idle queue must not keep strings alive
	p.seq.Store(q.head + uint64(len(q.places)))
	q.head++
	return true
}
