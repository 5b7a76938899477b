// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import "math"

// strangers counts the networks without a success that fail, and the names that they fail for,
// within an hour and within a day. A network that then succeeds no longer counts: its user has
// mistyped.
type strangers [len(strangerPeriods)]struct {
	networks, names distinct
	first           uint32 // time of the first of them
	period          uint32 // by the clock
	now             int    // the highest number within this period of the clock
	usual           float64
}

// strangerPeriods are the periods of distributed_stuffing. The usual number is the highest of a
// period, with a half-life.
var strangerPeriods = [...]struct {
	length, learned, halfLife uint32
	times                     int // of Thresholds.StrangeNetworks
}{
	{hour, day, 3 * day, 1},
	{day, agedDays * day, 7 * day, 2},
}

// strangersKey is the key of the only episode of distributed_stuffing.
const strangersKey = 1

// onStranger evaluates a guess from a network that is unknown to the account and that has tried
// names names within 3 days.
func (e *engine) onStranger(m *moment, names int) {
	if names == 2 && e.open(distributedStuffing, strangersKey) {
		e.exposeFrom(m)
	}
	if e.crowd(m.network) > 0 {
		return
	}
	for i, of := range strangerPeriods {
		s, slot := &e.strangers[i], e.now/(of.length/windowSlots)
		if period := e.now / of.length; period != s.period {
			if !e.open(distributedStuffing, strangersKey) {
				gone := float64(period-s.period) * float64(of.length)
				s.usual = max(s.usual*math.Exp2(-gone/float64(of.halfLife)), float64(s.now))
			}
			s.period, s.now = period, 0
		}
		if s.networks.count(&e.blocks, slot) == 0 {
			s.first = e.now
		}
		s.networks.add(&e.blocks, m.network, slot)
		s.names.add(&e.blocks, m.account, slot)
		networks, accounts := s.networks.count(&e.blocks, slot), s.names.count(&e.blocks, slot)
		s.now = max(s.now, networks)
		if e.begun != 0 && e.now-e.begun >= of.learned &&
			min(networks, accounts) >= of.times*e.th.StrangeNetworks && float64(networks) >= 2*s.usual {
			e.fire(m, firing{
				rule: distributedStuffing, key: strangersKey, first: max(s.first, e.now-of.length), attempts: uint64(networks),
				accounts: accounts, networks: networks,
			})
		}
	}
}
