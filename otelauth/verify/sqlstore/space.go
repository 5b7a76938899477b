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

// reading is the result of the query for one name at one time.
type reading struct {
	account *verify.Account // nil if there is none
	// On the Store's clock, before the query, so later changes may be missing.
	at      time.Duration
	renewed atomic.Bool // a later reading has been requested
}

// Names are spread over shards, so that readers of different names do not wait for each other's
// locks. A space for fewer than shardsFrom names has one shard, because a small shard might get
// too many of the names.
const (
	shards     = 32
	shardsFrom = 1024
)

// space is a bounded set of readings by name. A full shard evicts a name that has not been used
// since the hand last passed it (the clock algorithm, Corbató 1968). So a stream of new names
// evicts other new names first.
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

// newSpace returns a space for limit names, rounded up to a multiple of shards.
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

// put stores r unless a later reading is stored. An unchanged account keeps its pointer, because
// the cache of verified credentials compares pointers first.
func (s *space) put(name string, r *reading) {
	p := s.shard(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.of[name]; at != nil {
		previous := at.now.Load()
		if previous.at > r.at {
			return
		}
		if isUnchanged(previous.account, r.account) {
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
