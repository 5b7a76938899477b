// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import "math"

// strangers counts the networks without a success that fail within an hour, and the names that
// they fail for. A network that then succeeds no longer counts: its user has mistyped.
type strangers struct {
	networks, names distinct
	first           uint32 // time of the first of them
	hour            uint32
	now             int     // the highest number within this hour of the clock
	usual           float64 // the highest number of an hour, with a half-life of 3 days
}

// strangersKey is the key of the only episode of distributed_stuffing.
const strangersKey = 1

// learnedStrangers is how long the usual number is learned.
const learnedStrangers = day

// onStranger evaluates a guess from a network that is unknown to the account and that has tried
// names names within 3 days.
func (e *engine) onStranger(m *moment, names int) {
	s := &e.strangers
	if names == 2 && e.open(distributedStuffing, strangersKey) {
		e.recallTakeovers(m)
	}
	if e.hasSucceeded(m.network) {
		return
	}
	if hour := e.now / hour; hour != s.hour {
		if !e.open(distributedStuffing, strangersKey) {
			s.usual = max(s.usual*math.Exp2(-float64(hour-s.hour)/72), float64(s.now))
		}
		s.hour, s.now = hour, 0
	}
	if s.networks.count(&e.blocks, e.hourAt()) == 0 {
		s.first = e.now
	}
	s.networks.add(&e.blocks, m.network, e.hourAt())
	s.names.add(&e.blocks, m.account, e.hourAt())
	networks, accounts := s.networks.count(&e.blocks, e.hourAt()), s.names.count(&e.blocks, e.hourAt())
	s.now = max(s.now, networks)
	if e.begun == 0 || e.now-e.begun < learnedStrangers {
		return
	}
	if min(networks, accounts) >= e.th.StrangeNetworks && float64(networks) >= 2*s.usual {
		e.fire(m, firing{
			rule: distributedStuffing, key: strangersKey, first: max(s.first, e.now-hour), attempts: uint64(networks),
			accounts: accounts, networks: networks,
		})
	}
}

// isStranger reports whether a network or a group of networks has failed for other names, and for
// more names than accounts have succeeded from it.
func (e *engine) isStranger(network uint64) bool {
	p := e.sources.get(network)
	return p != nil && !e.isFamiliar(network) && p.value.names.count(&e.blocks, e.at()) >= max(2*e.crowd(network)-1, 1)
}

// recallTakeovers reports the successes that came from the network of m before it failed for other
// names, during an open episode of distributed_stuffing.
func (e *engine) recallTakeovers(m *moment) {
	if !e.isStranger(m.network) {
		return
	}
	for i := range e.recent.rings[0].places {
		g := &e.recent.rings[0].places[i]
		if !g.succeeded || g.network != m.network || e.open(successAfterFailures, g.account) {
			continue
		}
		past := moment{
			sample: &sample{kind: succeeded, trace: g.trace, at: m.sample.at}, name: g.name, site: g.site, network: g.network, account: g.account,
		}
		e.fire(&past, firing{
			rule: successAfterFailures, key: g.account, first: e.now, attempts: 1, accounts: 1, networks: 1,
			part: e.episodes[distributedStuffing][strangersKey].id,
		})
	}
}
