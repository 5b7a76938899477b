// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// The bounds of what an episode keeps and of what an event lists.
const (
	// maxAddresses is the number of addresses that one episode keeps and its last event lists, of
	// 32 bytes each. All episodes together keep at most allAddresses, or fewAddresses each.
	maxAddresses = 256
	allAddresses = 1 << 16
	fewAddresses = 16
	// topListed is the number of addresses, routes and user agents that other events list.
	topListed = 8
	// samplesListed is the number of the newest addresses that an event lists beside them.
	samplesListed = 4
	// maxAgentBytes is the length at which a user agent is cut.
	maxAgentBytes = 47
)

// agent is the beginning of a User-Agent. It is a copy, because a part of a request would keep
// the whole header alive.
type agent struct {
	bytes [maxAgentBytes]byte
	n     uint8
}

func (a *agent) set(text string) { a.n = uint8(copy(a.bytes[:], text)) }

func (a *agent) String() string {
	return attempt.Text(strings.ToValidUTF8(string(a.bytes[:a.n]), ""), maxAgentBytes)
}

// agents holds the user agents of recent attempts. One that shares its place with a newer one is
// forgotten.
type agents [256]struct {
	key   uint32
	agent agent
}

// put returns the key of a; 0 if it is empty.
func (t *agents) put(a *agent) uint32 {
	if a.n == 0 {
		return 0
	}
	key := uint32(2166136261) // FNV-1a
	for _, c := range a.bytes[:a.n] {
		key = (key ^ uint32(c)) * 16777619
	}
	key |= 1
	p := &t[key>>1%256]
	p.key, p.agent = key, *a
	return key
}

func (t *agents) get(key uint32) (a agent) {
	if p := &t[key>>1%256]; p.key == key && key != 0 {
		a = p.agent
	}
	return a
}

// caller is what a process knows about its own attempts only.
type caller struct {
	addr  netip.Addr
	agent agent
}

func callerOf(s *sample) caller { return caller{s.client.Unmap().WithZone(""), s.agent} }

// detail is what an episode keeps for its events beside the lists of names and networks.
type detail struct {
	addresses                     top[netip.Addr]
	routes                        top[string]
	agents                        top[agent]
	refused, throttled, succeeded uint64
}

// note adds an attempt. It returns the number of addresses that it added to all episodes.
func (d *detail) note(who *caller, route string, answer answer, room int) (added int) {
	switch answer {
	case answeredRefused:
		d.refused++
	case answeredThrottled:
		d.throttled++
	case answeredSuccess:
		d.succeeded++
	}
	if route != "" {
		d.routes.add(route, topListed)
	}
	if who.agent.n > 0 {
		d.agents.add(who.agent, topListed)
	}
	if who.addr.IsValid() {
		before := len(d.addresses.list)
		d.addresses.add(who.addr, min(maxAddresses, max(before+room, fewAddresses)))
		added = len(d.addresses.list) - before
	}
	return added
}

// answer is what a client got: 401, 429, or what it asked for.
type answer uint8

const (
	answeredRefused answer = iota
	answeredThrottled
	answeredSuccess
)

func (s *sample) answer() answer {
	switch {
	case s.kind == succeeded:
		return answeredSuccess
	case s.refused:
		return answeredThrottled
	}
	return answeredRefused
}

// top holds the most frequent values of a sequence and the newest ones (the Space-Saving algorithm
// of Metwally, Agrawal and El Abbadi, 2005). Counts are exact until it is full; afterwards a new
// value replaces the rarest one and inherits its count, so a count may be too high.
type top[T comparable] struct {
	list   []counted[T]
	arrive uint32
}

type counted[T comparable] struct {
	value   T
	count   uint32
	arrived uint32
}

// add counts a value. At most most values are kept.
func (t *top[T]) add(value T, most int) {
	rarest := 0
	for i := range t.list {
		c := &t.list[i]
		if c.value == value {
			c.count++
			return
		}
		if r := &t.list[rarest]; c.count < r.count || c.count == r.count && c.arrived < r.arrived {
			rarest = i
		}
	}
	t.arrive++
	if len(t.list) < most {
		t.list = append(t.list, counted[T]{value, 1, t.arrive})
		return
	}
	c := &t.list[rarest]
	*c = counted[T]{value, c.count + 1, t.arrive}
}

// sorted returns at most n values with the highest counts, and of the others the newest ones.
func (t *top[T]) sorted(n, newest int) []counted[T] {
	all := slices.Clone(t.list)
	slices.SortFunc(all, func(a, b counted[T]) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.arrived, b.arrived))
	})
	if len(all) <= n {
		return all
	}
	rest := all[n:]
	slices.SortFunc(rest, func(a, b counted[T]) int { return cmp.Compare(b.arrived, a.arrived) })
	return all[:n+min(newest, len(rest))]
}

// Count is the number of attempts that share a value.
type Count[T any] struct {
	Value    T
	Attempts uint64
}

func counts[T comparable, U any](all []counted[T], of func(T) U) []Count[U] {
	var list []Count[U]
	for _, c := range all {
		list = append(list, Count[U]{of(c.value), uint64(c.count)})
	}
	return list
}

// describe adds to d what the episode keeps. The last event lists every address.
func (ep *episode) describe(d *Detection) {
	listed, samples := topListed, samplesListed
	if d.Phase == End {
		listed, samples = maxAddresses, 0
	}
	d.Addresses = counts(ep.addresses.sorted(listed, samples), func(a netip.Addr) netip.Addr { return a })
	d.AddressCount = len(ep.addresses.list)
	d.Routes = counts(ep.routes.sorted(topListed, 0), func(s string) string { return s })
	d.UserAgents = counts(ep.agents.sorted(topListed, 0), func(a agent) string { return a.String() })
	d.Refused, d.Throttled, d.Succeeded = ep.refused, ep.throttled, ep.succeeded
	d.Takeovers = slices.Clone(ep.takeovers)
}
