// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"net/netip"
)

// ticket is a job's place in its network's queue.
type ticket struct {
	job     *job
	flow    *flow
	waiters int
	gone    bool // called, left or shed
}

// flow is the queue of one network: first come, first called; last come, first shed.
type flow struct {
	network    netip.Prefix
	lane       *lane
	tickets    []*ticket // never empty while the flow is in its lane
	prev, next *flow
}

// lane is a ring of flows that take turns; turn is the one to be called next.
type lane struct {
	flows   map[netip.Prefix]*flow
	turn    *flow
	waiting int
}

// push queues t behind the others of its network; a network that had none is called last in this round.
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

// giveBack makes it f's turn again, if anybody waits in f, and then that of the flow whose turn it was going to be.
func (l *lane) giveBack(f *flow) {
	if len(f.tickets) == 0 || l.turn == f {
		return
	}
	f.prev.next, f.next.prev = f.next, f.prev
	f.prev, f.next = l.turn.prev, l.turn
	f.prev.next, f.next.prev = f, f
	l.turn = f
}

// remove takes f, for which nobody waits any longer, out of the ring.
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
