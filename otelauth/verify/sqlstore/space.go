// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// reading is what the database said of one name at one time.
type reading struct {
	account *verify.Account // nil: no such account
	at      time.Duration   // on the Store's clock, before the question: what was changed later is not in it
	renewed atomic.Bool     // a later one is on its way
}

// shards keep readers of different names from each other's locks. A space for less than shardsFrom names has one: its share
// of the names may crowd a small shard.
const (
	shards     = 32
	shardsFrom = 1024
)

// space is a bounded set of readings by name. When a shard is full, the one that was not asked for since the hand
// came by last makes room (the clock algorithm, Corbató 1968): a stream of new names passes through the places of each other.
type space struct {
	seed  maphash.Seed
	parts []shard
}

type shard struct {
	mu    sync.RWMutex
	of    map[string]*place
	ring  []*place
	hand  int
	limit int
}

type place struct {
	name string
	used atomic.Bool
	now  atomic.Pointer[reading]
}

// newSpace holds limit names, rounded up to a multiple of shards.
func newSpace(limit int) *space {
	n := shards
	if limit < shardsFrom {
		n = 1
	}
	s := &space{seed: maphash.MakeSeed(), parts: make([]shard, n)}
	for i := range s.parts {
		s.parts[i].of, s.parts[i].limit = make(map[string]*place), (limit+n-1)/n
	}
	return s
}

func (s *space) shard(name string) *shard {
	return &s.parts[maphash.String(s.seed, name)%uint64(len(s.parts))]
}

func (s *space) get(name string) *reading {
	p := s.shard(name)
	p.mu.RLock()
	at := p.of[name]
	p.mu.RUnlock()
	if at == nil {
		return nil
	}
	if !at.used.Load() {
		at.used.Store(true)
	}
	return at.now.Load()
}

// put stores r unless a later reading is there. An account that is what it was stays the same pointer, which the
// cache of verified credentials compares first.
func (s *space) put(name string, r *reading) {
	p := s.shard(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.of[name]; at != nil {
		previous := at.now.Load()
		if previous.at > r.at {
			return
		}
		if same(previous.account, r.account) {
			r.account = previous.account
		}
		at.now.Store(r)
		return
	}
	at := &place{name: name}
	at.now.Store(r)
	if len(p.ring) < p.limit {
		p.ring = append(p.ring, at)
	} else {
		for p.ring[p.hand].used.Swap(false) {
			p.hand = (p.hand + 1) % len(p.ring)
		}
		delete(p.of, p.ring[p.hand].name)
		p.ring[p.hand] = at
		p.hand = (p.hand + 1) % len(p.ring)
	}
	p.of[name] = at
}

func (s *space) len() int {
	n := 0
	for i := range s.parts {
		s.parts[i].mu.RLock()
		n += len(s.parts[i].of)
		s.parts[i].mu.RUnlock()
	}
	return n
}
