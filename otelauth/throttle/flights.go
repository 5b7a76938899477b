// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"encoding/binary"
	"sync"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// flights holds the guesses in progress in this process. Callers that try the same credential from
// one network at once, for example a host after a deploy, share one flight and its decision. It is
// paid for once, because it is one guess. There is at most one flight for each request in
// progress, which the server bounds.
type flights struct {
	stripes [64]struct {
		sync.Mutex
		by map[flightKey]*flight
	}
}

type flightKey struct {
	pair        budget.Key
	fingerprint [16]byte
}

// flight is one guess that callers share. The lock of its stripe guards it.
type flight struct {
	callers int
	// paying reports whether a caller is asking the store. The first caller that waits for the
	// answer makes ready; land closes it.
	paying  bool
	ready   chan struct{}
	paid    payment
	settled bool // nothing is held
	learned bool // the pair was made known
}

// payment is the answer of the store to a flight, and the decision for its callers.
type payment struct {
	bill     budget.Bill
	answer   budget.Answer
	refused  budget.Answer // the refusal of the budgets, when decision.Reserve
	decision Decision
}

func (f *flights) of(k *flightKey) (*sync.Mutex, map[flightKey]*flight) {
	s := &f.stripes[binary.LittleEndian.Uint64(k.pair[:])%uint64(len(f.stripes))]
	s.Lock()
	if s.by == nil {
		s.by = make(map[flightKey]*flight)
	}
	return &s.Mutex, s.by
}

// join adds one caller to the flight of this guess and returns its decision. If leader is true
// there is no decision yet: the flight is new or its payment is settled, and the caller must pay
// and call land. A free flight costs nothing.
func (f *flights) join(k *flightKey, free bool) (d Decision, mine *flight, leader bool) {
	for {
		mu, by := f.of(k)
		mine = by[*k]
		if mine == nil {
			mine = &flight{settled: true}
			by[*k] = mine
		}
		if !mine.paying {
			mine.callers++
			leader = mine.settled && !free
			if leader {
				mine.paying, mine.settled = true, false
			}
			d = mine.paid.decision
			mu.Unlock()
			return d, mine, leader
		}
		if mine.ready == nil {
			mine.ready = make(chan struct{})
		}
		ready := mine.ready
		mu.Unlock()
		<-ready // no longer than the store takes to answer
	}
}

// land ends what join began for a leader. Without a grant the flight ends, and each waiting caller
// tries alone.
func (f *flights) land(k *flightKey, mine *flight, p *payment) {
	mu, by := f.of(k)
	defer mu.Unlock()
	mine.paying, mine.paid = false, *p
	if p.decision.Verdict != Granted {
		mine.settled = true
		delete(by, *k)
	}
	if mine.ready != nil {
		close(mine.ready)
		mine.ready = nil
	}
}

// leave removes one caller. due reports whether the payment must be settled now as s; learn
// reports whether the pair must be made known.
func (f *flights) leave(k *flightKey, s Settlement) (p payment, due, learn bool) {
	mu, by := f.of(k)
	defer mu.Unlock()
	have := by[*k]
	if have == nil {
		return p, false, s == Right
	}
	if have.callers--; have.callers <= 0 {
		delete(by, *k)
	}
	if (s != Unjudged || have.callers <= 0) && !have.paying {
		due = !have.settled
		have.settled = true
	}
	if s == Right {
		learn = !have.learned
		have.learned = true
	}
	return have.paid, due, learn
}
