// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"net/netip"
)

// ticket is the place of a job in the queue of its network.
type ticket struct {
	job     *job
	flow    *flow
	waiters int
	gone    bool // started, left or shed
}

// flow is the queue of one network. The oldest ticket runs first, and the newest is shed first.
type flow struct {
	network    netip.Prefix
	lane       *lane
	tickets    []*ticket // never empty while the flow is in its lane
	prev, next *flow
}

// lane is a ring of flows that take turns. turn is the next one.
type lane struct {
	flows   map[netip.Prefix]*flow
	turn    *flow
	waiting int
}

// push appends t to the queue of its network. A new network is the last one of this round.
func (l *lane) push(network netip.Prefix, t *ticket) {
	f := l.flows[network]
	if f == nil {
		f = &flow{network: network, lane: l}
		if l.turn == nil {
			l.flows = make(map[netip.Prefix]*flow)
			f.prev, f.next, l.turn = f, f, f
		} else {
			f.prev, f.next = l.turn.prev, l.turn
			f.prev.next, f.next.prev = f, f
		}
		l.flows[network] = f
	}
	t.flow = f
	f.tickets = append(f.tickets, t)
	l.waiting++
}

// giveBack makes f the next flow, if it has waiting tickets. The flow that was next follows it.
func (l *lane) giveBack(f *flow) {
	if len(f.tickets) == 0 || l.turn == f {
		return
	}
	f.prev.next, f.next.prev = f.next, f.prev
	f.prev, f.next = l.turn.prev, l.turn
	f.prev.next, f.next.prev = f, f
	l.turn = f
}

// remove removes the empty flow f from the ring.
func (l *lane) remove(f *flow) {
	delete(l.flows, f.network)
	f.prev.next, f.next.prev = f.next, f.prev
	switch {
	case f.next == f:
		l.turn = nil
	case l.turn == f:
		l.turn = f.next
	}
}
