// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/redishealth"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// pending is a settlement or a charge that Redis does not have yet, some 250 bytes.
type pending struct {
	id      int64 // counts from 1
	bill    budget.Bill
	receipt budget.Receipt
	how     throttle.Settlement
	take    bool // a charge: the fallback granted the guess
}

// queue holds at most maxPending items. An item that does not fit is lost: a hold is then charged
// when its lease ends, and a charge of the fallback stays in the memory of this process.
type queue struct {
	mu    sync.Mutex
	items []pending
	last  int64 // the last id
	wake  chan struct{}
}

const (
	maxPending = 8192 // 2 MB
	maxBatch   = 128
)

// push appends an item and returns its id. An item that already has an id keeps it.
func (q *queue) push(p pending) (id int64) {
	q.mu.Lock()
	if p.id == 0 {
		q.last++
		p.id = q.last
	}
	if len(q.items) < maxPending {
		q.items = append(q.items, p)
	}
	q.mu.Unlock()
	q.ring()
	return p.id
}

// remove removes an item and reports whether it was still present.
func (q *queue) remove(id int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := len(q.items) - 1; i >= 0; i-- { // most are recent
		if q.items[i].id == id {
			q.items = slices.Delete(q.items, i, i+1)
			return true
		}
	}
	return false
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
			q.items = nil // releases the memory of a burst
		} else {
			q.items = q.items[:0]
		}
		return into
	}
	q.items = q.items[n:]
	return into
}

// work sends pending items while Redis answers, and probes it while it is lost.
func (s *Store) work() {
	probe := time.NewTimer(s.cfg.ProbeEvery)
	defer probe.Stop()
	s.probe() // connects and loads the script before a guess needs them
	close(s.warm)
	for {
		select {
		case <-s.quit:
			if !s.health.IsDown() {
				s.flush()
			}
			return
		case <-s.lost:
			probe.Reset(s.cfg.ProbeEvery)
		case <-probe.C:
			if s.health.IsDown() {
				s.probe()
				probe.Reset(s.cfg.ProbeEvery)
			}
		case <-s.queue.wake:
			if !s.health.IsDown() && s.flush() && s.queue.len() > 0 {
				s.queue.ring()
			}
		}
	}
}

// probe checks that Redis answers and that the script can write. Redis executes the queued items
// before it is asked about a guess again.
func (s *Store) probe() {
	// The first call connects. Only one runs at a time, so that a frozen server holds one
	// connection and not one for each probe.
	if !s.probing.CompareAndSwap(false, true) {
		return
	}
	first := s.probeCall().InFull()
	err := s.within(context.Background(), func(ctx context.Context) error {
		defer s.probing.Store(false)
		return s.client.Process(ctx, first)
	}, nil)
	if err != nil {
		return
	}
	if _, err := s.ask(context.Background(), s.probeCall(), nil); err != nil {
		return
	}
	if !s.flush() {
		return
	}
	s.away.Lock()
	defer s.away.Unlock()
	if s.flush() { // grants of the fallback in the meantime
		s.health.Recovered()
	}
}

// flush sends the items that are pending now. It reports whether all were executed.
func (s *Store) flush() bool {
	s.flushing.Lock()
	defer s.flushing.Unlock()
	var batch []pending
	// It does not wait for later items, which may arrive faster than it can send.
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

// sendBatch sends items in one round trip and reports whether all were executed. If the reply to
// an item is missing, it may have been executed or not. sendBatch keeps successes of pairs, which
// may be repeated, and charges of the fallback, which a thawed server finds to be late. Any other
// hold is charged when its lease ends.
func (s *Store) sendBatch(batch []pending) bool {
	results := s.pipeline(batch, false)
	var missed []pending
	var at []int
	for i, err := range results {
		if redishealth.IsUnknownScript(err) {
			missed, at = append(missed, batch[i]), append(at, i)
		}
	}
	if len(missed) > 0 {
		for i, err := range s.pipeline(missed, true) {
			results[at[i]] = err
		}
	}
	var failure error
	all := true
	for i, err := range results {
		if err == nil {
			continue
		}
		all = false
		if p := batch[i]; p.take || p.how == throttle.Right {
			p.receipt = budget.Receipt{}
			s.queue.push(p)
		}
		if failure == nil && !errors.Is(err, errLate) && !errors.Is(err, errBusy) {
			failure = err
		}
	}
	if failure != nil {
		s.failed(failure)
	}
	return all
}

func (s *Store) pendingCall(p *pending) *redishealth.Call {
	if p.take {
		return s.spendCall(&p.bill, s.deadline())
	}
	return s.settleCall(&p.bill, p.receipt, p.how)
}

// pipeline sends a batch in one round trip. It returns one result for each item; nil means that
// Redis has executed it.
func (s *Store) pipeline(batch []pending, full bool) []error {
	cmds := make([]redishealth.Command, len(batch))
	results := make([]error, len(batch))
	pipe := s.client.Pipeline()
	for i := range batch {
		call := s.pendingCall(&batch[i])
		if cmds[i] = call.ByDigest(); full {
			cmds[i] = call.InFull()
		}
		_ = pipe.Process(context.Background(), cmds[i]) // queues only
	}
	err := s.within(context.Background(), func(ctx context.Context) error {
		_, err := pipe.Exec(ctx)
		return err
	}, nil)
	if errors.Is(err, errSilent) || errors.Is(err, errBusy) {
		for i := range results {
			results[i] = err // the commands may still be executed
		}
		return results
	}
	for i := range cmds {
		if err := cmds[i].Err(); err != nil {
			results[i] = fmt.Errorf("redisstore: %w", err)
		} else if v, bad := cmds[i].Int64Slice(); bad == nil && len(v) > 1 && v[0] == replyLate {
			s.learn(v[1])
			results[i] = errLate
		}
	}
	return results
}
