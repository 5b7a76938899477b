// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// pending is what Redis must still be told, some 250 bytes.
type pending struct {
	bill    throttle.Bill
	receipt throttle.Receipt
	how     throttle.Settlement
	take    bool // charge at once: the guess was held by the fallback
}

// queue holds at most maxPending. What does not fit is lost: a hold is then charged when its lease ends, and
// what happened while Redis was away stays in the memory of this process alone.
type queue struct {
	mu    sync.Mutex
	items []pending
	wake  chan struct{}
}

const (
	maxPending = 8192 // 2 MB
	maxBatch   = 128
	// batchTimeout is how long the worker, for whom nobody waits, gives a batch.
	batchTimeout = 250 * time.Millisecond
	// patience is how long a command is on its way at most, when the client heeds a context.
	patience = time.Second
)

func (q *queue) push(p pending) {
	q.mu.Lock()
	if len(q.items) < maxPending {
		q.items = append(q.items, p)
	}
	q.mu.Unlock()
	q.ring()
}

// ring wakes the worker.
func (q *queue) ring() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

// take removes the oldest items, at most maxBatch.
func (q *queue) take(into []pending) []pending {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.items), maxBatch)
	into = append(into[:0], q.items[:n]...)
	if n == len(q.items) {
		if cap(q.items) > maxBatch {
			q.items = nil // a burst's memory is not kept
		} else {
			q.items = q.items[:0]
		}
		return into
	}
	q.items = q.items[n:]
	return into
}

// work sends what is pending while Redis answers, and looks for it while it does not.
func (s *Store) work() {
	probe := time.NewTimer(s.cfg.ProbeEvery)
	defer probe.Stop()
	s.probe() // makes the first connection and brings the script, before a guess waits for either
	close(s.warm)
	for {
		select {
		case <-s.quit:
			if !s.health.down.Load() {
				s.flush()
			}
			return
		case <-s.health.lost:
			probe.Reset(s.cfg.ProbeEvery)
		case <-probe.C:
			if s.health.down.Load() {
				s.probe()
				probe.Reset(s.cfg.ProbeEvery)
			}
		case <-s.queue.wake:
			if !s.health.down.Load() && s.flush() && s.queue.len() > 0 {
				s.queue.ring()
			}
		}
	}
}

// probe asks whether the script can write and whether the answer comes in time. It tells Redis what it missed
// before anybody is sent there again.
func (s *Store) probe() {
	// The first makes a connection, which may take longer than a guess would wait; only one is on its way at
	// a time, so that a frozen server holds one connection and not one for each probe.
	if !s.probing.CompareAndSwap(false, true) {
		return
	}
	first := s.command(s.probeCall(), true)
	err := s.within(context.Background(), batchTimeout, func(ctx context.Context) error {
		defer s.probing.Store(false)
		return s.client.Process(ctx, first)
	}, nil)
	if err != nil {
		return
	}
	if _, err := s.ask(context.Background(), s.probeCall(), nil); err != nil {
		return
	}
	if s.flush() {
		s.recovered()
		s.flush() // what came meanwhile
	}
}

// flush sends what is pending now. It reports whether all of that was sent.
func (s *Store) flush() bool {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	var batch []pending
	// Not what comes meanwhile: that may come faster than it can be sent.
	for rest := s.queue.len(); rest > 0; rest -= len(batch) {
		batch = s.queue.take(batch)
		if len(batch) == 0 {
			break
		}
		if !s.sendBatch(batch) {
			return false
		}
	}
	return true
}

// sendBatch sends settlements in one round trip. Of a batch that failed nobody knows how much was executed.
// Kept of it is that a pair succeeded, which may be said twice, and wrong guesses that Redis has not heard
// of, which a frozen server takes for too late when it thaws. A hold that stays is charged when its lease
// ends.
func (s *Store) sendBatch(batch []pending) bool {
	calls := make([]*call, len(batch))
	for i := range batch {
		calls[i] = s.pendingCall(&batch[i])
	}
	missed, err := s.pipeline(calls, false)
	if err == nil && len(missed) > 0 {
		_, err = s.pipeline(missed, true)
	}
	if err == nil {
		return true
	}
	for _, p := range batch {
		if p.take || p.how == throttle.Right {
			p.receipt = throttle.Receipt{}
			s.queue.push(p)
		}
	}
	s.failed(err)
	return false
}

func (s *Store) pendingCall(p *pending) *call {
	if p.take {
		return s.spendCall(&p.bill, s.deadline(batchTimeout))
	}
	return s.settleCall(&p.bill, p.receipt, p.how)
}

// pipeline sends calls in one round trip. It returns those whose script the server does not know, and what
// kept the others from being executed.
func (s *Store) pipeline(calls []*call, full bool) (missed []*call, err error) {
	cmds := make([]once, len(calls))
	pipe := s.client.Pipeline()
	for i, c := range calls {
		cmds[i] = s.command(c, full)
		_ = pipe.Process(context.Background(), cmds[i]) // only queues it
	}
	err = s.within(context.Background(), batchTimeout, func(ctx context.Context) error {
		_, err := pipe.Exec(ctx)
		return err
	}, nil)
	if errors.Is(err, errTimeout) {
		return nil, err
	}
	err = nil
	for i := range cmds {
		switch e := cmds[i].Err(); {
		case e == nil:
			if v, bad := cmds[i].Int64Slice(); bad == nil && len(v) > 1 && v[0] == replyLate {
				s.learn(v[1])
				err = errLate
			}
		case redis.HasErrorPrefix(e, "NOSCRIPT"):
			missed = append(missed, calls[i])
		case err == nil:
			err = fmt.Errorf("redisstore: %w", e)
		}
	}
	return missed, err
}
