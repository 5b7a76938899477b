// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"sync"
	"time"
)

// maxQueuedBytes bounds the lines that wait, for each entry of the queue.
const maxQueuedBytes = 1 << 10

// batch is lines that are written together, in order.
type batch struct {
	buf   []byte
	lines []queuedLine
	waits int

	done    chan struct{} // closed when it is settled; nil: no line waits
	timer   *time.Timer
	settled bool  // guarded by queue.mu
	err     error // of the waiting lines; set before done is closed
}

type queuedLine struct {
	end   int // in batch.buf
	waits bool
}

// bodies calls f with each body.
func (b *batch) bodies(f func(body []byte, waits bool)) {
	start := 0
	for _, l := range b.lines {
		f(b.buf[start:l.end], l.waits)
		start = l.end
	}
}

func (b *batch) add(body []byte, waits bool) {
	b.buf = append(b.buf, body...)
	b.lines = append(b.lines, queuedLine{len(b.buf), waits})
	if waits {
		b.waits++
	}
}

// queue is the lines that wait for the writer. It is bounded by entries and bytes.
type queue struct {
	entries int
	timeout time.Duration
	// expired is called, without a lock, with the number of lines whose time is over.
	expired func(waits int)

	wake chan struct{} // has an element when a caller waits, or the queue is half full
	soon chan struct{} // has an element when lines wait

	mu       sync.Mutex
	pending  *batch // takes the next line
	inFlight int
	bytes    int // of pending and of the batch in flight
	// spare has the buffers of the last batch; nil while one is in flight.
	spare *batch
	// down is why no line may wait now; nil: the trail can write.
	down   error
	closed bool
}

func newQueue(entries int, timeout time.Duration, expired func(int)) *queue {
	return &queue{
		entries: entries, timeout: timeout, expired: expired, pending: new(batch),
		wake: make(chan struct{}, 1), soon: make(chan struct{}, 1),
	}
}

// add appends a line. If it waits, the caller waits for the returned batch.
func (q *queue) add(body []byte, waits bool) (*batch, error) {
	q.mu.Lock()
	if err := q.refuses(len(body), waits); err != nil {
		q.mu.Unlock()
		return nil, err
	}
	b := q.pending
	b.add(body, waits)
	q.bytes += len(body)
	if waits && b.done == nil {
		b.done = make(chan struct{})
		b.timer = time.AfterFunc(q.timeout, func() { q.expire(b) })
	}
	isUrgent := waits || q.len() == q.entries/2
	q.mu.Unlock()
	if isUrgent {
		q.poke()
		return b, nil
	}
	select {
	case q.soon <- struct{}{}:
	default:
	}
	return b, nil
}

func (q *queue) refuses(size int, waits bool) error {
	switch {
	case q.closed:
		return ErrClosed
	case waits && q.down != nil:
		return q.down
	case q.len() >= q.entries || q.bytes+size > q.entries*maxQueuedBytes:
		return ErrQueueFull
	}
	return nil
}

func (q *queue) len() int { return q.inFlight + len(q.pending.lines) }

// queued returns the number of lines that wait for the disk.
func (q *queue) queued() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.len()
}

func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns the lines that wait; nil if there are none. They are in flight until settle.
func (q *queue) take() *batch {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := q.pending
	if len(b.lines) == 0 {
		return nil
	}
	q.pending, q.spare, q.inFlight = q.spare, nil, len(b.lines)
	if q.pending == nil {
		q.pending = new(batch)
	}
	return b
}

// settle ends the flight of b. err is for its waiting lines. keep reports whether the other lines
// of b, and without anybody waiting all of them, are to be written again.
func (q *queue) settle(b *batch, err error, keep func(waits bool) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inFlight = 0
	q.bytes -= len(b.buf)
	b.finish(err)
	if keep != nil {
		again := new(batch)
		b.bodies(func(body []byte, waits bool) {
			if keep(waits) {
				again.add(body, false)
			}
		})
		q.bytes += len(again.buf)
		p, offset := q.pending, len(again.buf)
		again.buf = append(again.buf, p.buf...)
		for _, l := range p.lines {
			again.lines = append(again.lines, queuedLine{offset + l.end, l.waits})
		}
		p.buf, p.lines = again.buf, again.lines
		return
	}
	q.spare = &batch{buf: b.buf[:0], lines: b.lines[:0]}
	b.buf, b.lines = nil, nil // the callers that wait refer to b
}

// finish wakes the callers that wait. The caller holds queue.mu.
func (b *batch) finish(err error) {
	if b.settled || b.done == nil {
		return
	}
	b.settled, b.err = true, err
	b.timer.Stop()
	close(b.done)
}

// expire ends the wait for b. Lines that are not in flight are removed.
func (q *queue) expire(b *batch) {
	q.mu.Lock()
	if b.settled {
		q.mu.Unlock()
		return
	}
	if q.down == nil {
		q.down = ErrTimeout
	}
	waits := b.waits
	q.drop(b, ErrTimeout)
	q.mu.Unlock()
	q.expired(waits)
}

// drop wakes the callers that wait for b with err, and removes their lines if b is not in flight.
func (q *queue) drop(b *batch, err error) {
	b.finish(err)
	if b != q.pending {
		return
	}
	kept := new(batch)
	b.bodies(func(body []byte, waits bool) {
		if waits {
			q.bytes -= len(body)
			return
		}
		kept.add(body, false)
	})
	q.pending = kept
}

// isExpired reports whether the callers that waited for b were answered with an error.
func (q *queue) isExpired(b *batch) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return b.settled && b.err != nil
}

// setDown makes further waiting lines fail with err at once, and those that wait now. nil: the
// trail can write.
func (q *queue) setDown(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.down = err
	if err != nil && q.pending.waits > 0 {
		q.drop(q.pending, err)
	}
}

// whyDown returns why no line may wait now.
func (q *queue) whyDown() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	return q.down
}

// close refuses further lines.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}
