// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"encoding/binary"
	"sync"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// flights are the guesses under way in this process. Callers who try the same credential at once
// from one network, a host after a deploy for instance, share one flight and its decision, and it
// is paid for once: whatever it proves to be, it is one guess. There is at most one for each
// attempt under way, which the server bounds.
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

// flight is one guess that callers have in common. Its stripe's lock guards it.
type flight struct {
	callers int
	// paying reports that a caller asks the store right now; ready, which is made by the first who
	// waits for the answer, is closed when it is there.
	paying  bool
	ready   chan struct{}
	paid    payment
	settled bool // nothing is held any longer, or ever was
	learned bool // the pair has been made known
}

// payment is what a store granted, or did not, and what its callers are answered.
type payment struct {
	bill     budget.Bill
	answer   budget.Answer
	refused  budget.Answer // of the budgets, when decision.Reserve
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

// join adds one caller to the flight of this guess and returns its decision. leader reports that
// there is none: the flight is new, or what was paid for it has been settled, and the caller must
// pay and call land. A flight that is free costs nothing.
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
		<-ready // as long as the store takes to answer, no longer
	}
}

// land ends what join began for a leader. Without a grant the flight is over, and who waits for it
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

// leave takes one caller off and reports what is to be done about the price: whether it is due
// now, as s says, and whether the pair is to be made known.
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
