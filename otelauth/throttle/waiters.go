// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// waiters are those who wait for a guess on some budget to settle. There is one channel a budget that somebody waits for.
type waiters struct {
	settled atomic.Uint64 // settlements so far
	waiting atomic.Int64
	mu      sync.Mutex
	by      map[budget.Key]*waiter
}

type waiter struct {
	changed chan struct{}
	timer   *time.Timer
}

// askAgain is when who waits asks again although nobody here has settled: a hold may have been another process's,
// or its lease may have ended.
const askAgain = time.Second

// wait returns a channel that is closed at the next settlement on a budget, or after a while. seen is how many
// settlements there had been when the store was asked: if there are more now, one may have been ours.
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

// wake tells those who wait for any budget of a bill.
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
