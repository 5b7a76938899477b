// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"encoding/binary"
	"net/netip"
	"sync"
)

// flights are the guesses on their way in this process. Callers who try the same credential at once, a fleet after a deploy
// for instance, share one flight, and it is paid for once: whatever it proves to be, it is one guess. There is at most one
// for each attempt under way, which the server bounds.
type flights struct {
	stripes [64]struct {
		sync.Mutex
		by map[flightKey]*flight
	}
}

type flightKey struct {
	account     Key
	fingerprint [16]byte
}

// flight is one guess that callers have in common. Its stripe's lock guards it.
type flight struct {
	callers int
	// paying says that somebody asks the store right now; ready, which is made by the first who waits for
	// the answer, is closed when it is there.
	paying  bool
	ready   chan struct{}
	bill    Bill
	answer  Answer
	network netip.Prefix // of who paid
	settled bool         // nothing is held any longer, or ever was
	learned bool         // the pair of network is known
}

func (f *flights) of(k *flightKey) (*sync.Mutex, map[flightKey]*flight) {
	s := &f.stripes[binary.LittleEndian.Uint64(k.account[:])%uint64(len(f.stripes))]
	s.Lock()
	if s.by == nil {
		s.by = make(map[flightKey]*flight)
	}
	return &s.Mutex, s.by
}

// join returns the flight of this guess with one caller more. leader says that it is new, and that the caller must pay and call paid;
// a new one costs nothing if free says so, or if wrong knows the password. That is asked under the lock under which leave tells it,
// or one who comes between the end of a flight and the memory of it would pay once more.
func (f *flights) join(k *flightKey, wrong *repeats, free bool) (mine *flight, leader bool) {
	for {
		mu, by := f.of(k)
		mine = by[*k]
		if mine == nil {
			free = free || wrong.has(&k.account, &k.fingerprint)
			mine = &flight{callers: 1, paying: !free, settled: free}
			by[*k] = mine
			mu.Unlock()
			return mine, !free
		}
		if !mine.paying {
			mine.callers++
			mu.Unlock()
			return mine, false
		}
		if mine.ready == nil {
			mine.ready = make(chan struct{})
		}
		ready := mine.ready
		mu.Unlock()
		<-ready // as long as the store takes to answer, no longer
	}
}

// paid ends what join began for a leader. Without a grant the flight is over, and who waits for it tries alone.
func (f *flights) paid(k *flightKey, mine *flight, b *Bill, a *Answer, network netip.Prefix) {
	mu, by := f.of(k)
	defer mu.Unlock()
	mine.paying = false
	if a == nil || a.Verdict != Granted {
		delete(by, *k)
	} else {
		mine.bill, mine.answer, mine.network = *b, *a, network
	}
	if mine.ready != nil {
		close(mine.ready)
	}
}

// leave takes one caller off and reports what is to be done about the price: whether it is due now, as s says. A wrong password
// is remembered.
func (f *flights) leave(k *flightKey, wrong *repeats, s Settlement, network netip.Prefix) (mine *flight, due, learn bool) {
	mu, by := f.of(k)
	defer mu.Unlock()
	if s == Wrong {
		wrong.note(&k.account, &k.fingerprint)
	}
	mine = by[*k]
	if mine == nil {
		return nil, false, s == Right
	}
	if mine.callers--; mine.callers == 0 {
		delete(by, *k)
	}
	if s != Unjudged || mine.callers == 0 {
		due = !mine.settled
		mine.settled = true
	}
	if s == Right {
		learn = !mine.learned || mine.network != network
		mine.learned = mine.learned || mine.network == network
	}
	return mine, due, learn
}
