// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// waiters holds the callers that wait until a guess on a budget is settled. It has one channel for
// each budget that a caller waits for.
type waiters struct {
	settled atomic.Uint64 // number of settlements so far
	waiting atomic.Int64
	mu      sync.Mutex
	by      map[budget.Key]*waiter
}

type waiter struct {
	changed chan struct{}
	timer   *time.Timer
}

// askAgain is when a waiting caller asks again although this process has settled nothing. Another
// process may have settled a guess, or a lease may have ended.
const askAgain = time.Second

// wait returns a channel that is closed at the next settlement on a budget, or after atMost. seen
// is the number of settlements when the caller asked the store; if it has changed, the channel is
// already closed.
func (w *waiters) wait(k budget.Key, seen uint64, atMost time.Duration) <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting.Add(1)
	if w.settled.Load() != seen {
		w.waiting.Add(-1)
		again := make(chan struct{})
		close(again)
		return again
	}
	if have := w.by[k]; have != nil {
		w.waiting.Add(-1)
		return have.changed
	}
	if w.by == nil {
		w.by = make(map[budget.Key]*waiter)
	}
	if atMost <= 0 || atMost > askAgain {
		atMost = askAgain
	}
	mine := &waiter{changed: make(chan struct{})}
	w.by[k] = mine
	mine.timer = time.AfterFunc(atMost, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.by[k] == mine {
			w.end(k, mine)
		}
	})
	return mine.changed
}

// wake wakes the callers that wait for any budget of a bill.
func (w *waiters) wake(b *budget.Bill) {
	w.settled.Add(1)
	if w.waiting.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range b.Charges {
		if mine := w.by[b.Charges[i].Key]; mine != nil {
			mine.timer.Stop()
			w.end(b.Charges[i].Key, mine)
		}
	}
}

func (w *waiters) end(k budget.Key, mine *waiter) {
	delete(w.by, k)
	w.waiting.Add(-1)
	close(mine.changed)
}
