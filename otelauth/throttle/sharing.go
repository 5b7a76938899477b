// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// rulesDocument is the name of the document with the rules of all processes.
const rulesDocument = "rules"

const (
	// rulesLife is how long the document outlives its last change.
	rulesLife = 400 * 24 * time.Hour
	// revokedLife is how long a revocation is kept, so that a process that could not reach the
	// store for as long does not bring the rule back.
	revokedLife = 7 * 24 * time.Hour
	// endedLife is how long a rule that has ended is kept, because clocks differ.
	endedLife = time.Hour
	// clearedLife and maxCleared bound the clears that other processes still have to see.
	clearedLife = time.Minute
	maxCleared  = 256
)

// sharing keeps the rules of all processes that share a store the same. Each process holds a set
// of entries, and two sets merge to the one with the newest entry about each subject, whatever the
// order. So a rule that was made while the store was unreachable is not lost.
type sharing struct {
	budgets *Budgets
	docs    *Documents

	mu      sync.Mutex
	entries map[Subject]entry
	cleared map[Subject]int64 // stamps of clears that were applied here
	pending bool              // entries has something that the document has not
}

// entry is a rule, or the revocation of one. Times are those of the store.
type entry struct {
	Account string       `json:"a,omitempty"`
	Network netip.Prefix `json:"n,omitzero"`
	// Stamp orders the entries about one subject, in microseconds.
	Stamp   int64     `json:"s"`
	Revoked bool      `json:"x,omitempty"`
	Denied  bool      `json:"d,omitempty"`
	By      string    `json:"b,omitempty"`
	Why     string    `json:"w,omitempty"`
	Since   time.Time `json:"f,omitzero"`
	Until   time.Time `json:"u,omitzero"`
}

func (e *entry) subject() Subject { return Subject{e.Account, e.Network} }

// isNewer reports whether e replaces other. Two processes answer alike.
func (e *entry) isNewer(other *entry) bool {
	return cmp.Or(cmp.Compare(e.Stamp, other.Stamp), cmp.Compare(e.Why, other.Why), cmp.Compare(e.By, other.By)) > 0
}

// document is the content of rulesDocument.
type document struct {
	Rules   []entry `json:"rules"`
	Cleared []entry `json:"cleared,omitempty"`
}

// share connects the rules to the store.
func (t *Budgets) share() {
	if t.documents == nil {
		return
	}
	t.sharing = &sharing{budgets: t, docs: t.documents, entries: map[Subject]entry{}, cleared: map[Subject]int64{}}
	t.documents.Watch(rulesDocument, t.sharing.receive)
}

// now returns the clock of the store.
func (s *sharing) now() time.Time { return s.budgets.cfg.Now().Add(s.docs.Ahead()) }

// put shares a rule of this process; nil revokes.
func (s *sharing) put(ctx context.Context, subject Subject, r *Rule) {
	if s == nil {
		return
	}
	s.mu.Lock()
	now, ahead := s.now(), s.docs.Ahead()
	e := entry{Account: subject.Account, Network: subject.Network, Stamp: now.UnixMicro(), Revoked: r == nil}
	if old, have := s.entries[subject]; have {
		e.Stamp = max(e.Stamp, old.Stamp+1)
	}
	if r != nil {
		e.Denied, e.By, e.Why, e.Since = r.Denied, r.By, r.Why, r.Since
		if !r.Until.IsZero() {
			e.Until = r.Until.Add(ahead)
		}
	}
	s.entries[subject] = e
	s.pending = true
	s.apply() // receive may have put the previous entries in force since
	s.mu.Unlock()
	s.publish(ctx, nil)
}

// clear makes the other processes forget what they remember of a budget.
func (s *sharing) clear(ctx context.Context, subject Subject) {
	if s == nil {
		return
	}
	e := entry{Account: subject.Account, Network: subject.Network, Stamp: s.now().UnixMicro()}
	s.mu.Lock()
	s.cleared[subject] = e.Stamp
	s.mu.Unlock()
	s.publish(ctx, &e)
}

// publish merges the entries with the document. After a failure the entries are pending, and the
// next change of the document or of the entries publishes them.
func (s *sharing) publish(ctx context.Context, cleared *entry) {
	var merged []entry
	err := s.docs.Update(ctx, rulesDocument, rulesLife, func(current []byte) ([]byte, error) {
		var d document
		if current != nil && json.Unmarshal(current, &d) != nil {
			return nil, ErrForeignDocument
		}
		now := s.now()
		s.mu.Lock()
		all := maps.Clone(s.entries)
		s.mu.Unlock()
		merge(all, d.Rules)
		maps.DeleteFunc(all, func(_ Subject, e entry) bool { return e.isOver(now) })
		d.Rules = slices.SortedFunc(maps.Values(all), func(a, b entry) int {
			return cmp.Or(cmp.Compare(a.Stamp, b.Stamp), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Network.String(), b.Network.String()))
		})
		d.Cleared = slices.DeleteFunc(d.Cleared, func(e entry) bool { return now.Sub(time.UnixMicro(e.Stamp)) > clearedLife })
		if cleared != nil {
			d.Cleared = append(d.Cleared, *cleared)
			d.Cleared = d.Cleared[max(len(d.Cleared)-maxCleared, 0):]
		}
		merged = d.Rules
		return json.Marshal(d)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending = err != nil; err == nil {
		merge(s.entries, merged)
		s.apply()
	}
}

// isOver reports whether no process needs an entry any more.
func (e *entry) isOver(now time.Time) bool {
	if e.Revoked {
		return now.Sub(time.UnixMicro(e.Stamp)) > revokedLife
	}
	return !e.Until.IsZero() && now.Sub(e.Until) > endedLife
}

// merge adds the entries of list that are newer. It reports whether into has an entry that list
// lacks.
func merge(into map[Subject]entry, list []entry) (more bool) {
	seen := make(map[Subject]bool, len(list))
	for _, e := range list {
		subject := e.subject()
		seen[subject] = true
		old, have := into[subject]
		switch {
		case !have || e.isNewer(&old):
			into[subject] = e
		case old.isNewer(&e):
			more = true
		}
	}
	for subject := range into {
		more = more || !seen[subject]
	}
	return more
}

// receive takes over the document of the other processes.
func (s *sharing) receive(content []byte) {
	var d document
	if content != nil && json.Unmarshal(content, &d) != nil {
		return
	}
	s.mu.Lock()
	now := s.now()
	maps.DeleteFunc(s.entries, func(_ Subject, e entry) bool { return e.isOver(now) })
	more := merge(s.entries, slices.DeleteFunc(d.Rules, func(e entry) bool { return e.isOver(now) }))
	s.apply()
	var cleared []Subject
	for _, e := range d.Cleared {
		if subject := e.subject(); e.Stamp > s.cleared[subject] {
			s.cleared[subject] = e.Stamp
			cleared = append(cleared, subject)
		}
	}
	maps.DeleteFunc(s.cleared, func(_ Subject, stamp int64) bool { return now.Sub(time.UnixMicro(stamp)) > 2*clearedLife })
	s.mu.Unlock()
	for _, subject := range cleared {
		s.budgets.clearHere(context.Background(), subject)
	}
	if more {
		s.publish(context.Background(), nil) // the store has lost data, or was unreachable
	}
}

// apply puts the entries in force. The caller holds the lock.
func (s *sharing) apply() {
	ahead, now, elapsed := s.docs.Ahead(), s.budgets.cfg.Now(), s.budgets.cfg.Elapsed()
	_ = s.budgets.rules.change(elapsed, func(by map[Subject]*Rule) error {
		clear(by)
		for subject, e := range s.entries {
			if e.Revoked {
				continue
			}
			r := &Rule{Subject: subject, Denied: e.Denied, By: e.By, Why: e.Why, Since: e.Since}
			if !e.Until.IsZero() {
				r.Until = e.Until.Add(-ahead)
				r.until = elapsed + r.Until.Sub(now)
				if r.until <= elapsed || r.until == 0 {
					continue
				}
			}
			by[subject] = r
		}
		return nil
	}) // the edit returns no error
}

// Sharing reports whether rules are shared with other processes at the moment. ok is true if they
// are, and if the Store is that of one process.
func (t *Budgets) Sharing() (shared, ok bool) {
	if t.sharing == nil {
		return false, true
	}
	t.sharing.mu.Lock()
	defer t.sharing.mu.Unlock()
	return true, !t.sharing.pending && t.documents.Shared()
}

// clearHere forgets what this process remembers of a budget that another one has cleared.
func (t *Budgets) clearHere(ctx context.Context, s Subject) {
	k, b, err := t.budgetOf(s)
	if err != nil {
		return
	}
	here := t.documents.board.ClearHere
	_ = here(ctx, k, b) // of memory
	switch b {
	case budget.Pair:
		_ = here(ctx, t.keys.network(pairReserve, t.keys.account(s.Account), s.Network), budget.Pair)
		t.mirror.forget(t.keys.quick(&Guess{Account: s.Account, Network: s.Network}))
	case budget.Network:
		r := t.keys.network(budget.Requests, budget.Key{}, s.Network)
		_ = here(ctx, t.keys.network(networkReserve, budget.Key{}, s.Network), budget.Network)
		_ = here(ctx, r, budget.Requests)
		t.cases.forget(r)
	}
	t.cases.forget(k)
	t.waiters.wake(&budget.Bill{Charges: [budget.NumKinds]budget.Charge{{Key: k}}})
}
