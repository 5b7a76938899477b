// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect/internal/feed"
	"github.com/otelauth/otelauth-go/otelauth/internal/snapshot"
)

// This file keeps what was learned in a feed. Every process has learned the same from the batches
// up to a position, so the leader alone stores it, and a process that starts continues behind it.

// keep returns a function that stores what was learned; nil if another process does or if nothing
// is new.
func (s *sharing) keep() (store func(context.Context) error) {
	if !s.lead || s.alone || s.at == s.kept || s.at == (feed.Position{}) {
		return nil
	}
	at := s.at
	store = s.feed.Keep(append(s.appendSenders(nil), s.engine.shared().state()...))
	s.kept = at
	return store
}

// shared returns the engine without what must not leave the process, or what other processes
// cannot continue.
func (e *engine) shared() *engine {
	public := *e
	public.arrivals.ring = slices.Clone(e.arrivals.ring)
	for i := range public.arrivals.ring {
		p := &public.arrivals.ring[i]
		p.addr, p.agent = netip.Addr{}, 0
	}
	for rule, all := range e.episodes {
		public.episodes[rule] = map[uint64]*episode{}
		for key, ep := range all {
			if rules[rule].local {
				continue
			}
			public.episodes[rule][key] = ep.shared()
		}
	}
	public.custom = e.custom.shared()
	return &public
}

// appendSenders appends the processes that count for thresholds.
func (s *sharing) appendSenders(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(len(s.senders)))
	for id, last := range s.senders {
		b = binary.BigEndian.AppendUint64(b, id)
		b = binary.BigEndian.AppendUint64(b, uint64(last.UnixNano()))
	}
	return b
}

// restore continues with what another process has learned.
func (s *sharing) restore(state []byte) error {
	const each = 16
	if len(state) < 8 {
		return snapshot.ErrDamaged
	}
	n, state := binary.BigEndian.Uint64(state), state[8:]
	if n > maxSenders || len(state) < int(n)*each {
		return snapshot.ErrDamaged
	}
	senders, newest := map[uint64]time.Time{}, time.Time{}
	for ; n > 0; n, state = n-1, state[each:] {
		last := time.Unix(0, int64(binary.BigEndian.Uint64(state[8:])))
		if senders[binary.BigEndian.Uint64(state)] = last; last.After(newest) {
			newest = last
		}
	}
	e := s.build()
	if err := e.restore(state, s.now); err != nil {
		return err
	}
	s.senders, s.newest = senders, newest
	e.spread, e.alone = max(len(senders)-1, 0), s.alone
	// The episodes that this process has found while the feed did not answer.
	keptCustom{e}.resume(s.engine)
	for rule, all := range s.engine.episodes {
		for key, ep := range all {
			if e.episodes[rule][key] == nil {
				e.episodes[rule][key] = ep
				e.addresses += len(ep.addresses.list)
			}
		}
	}
	s.engine = e
	return nil
}
