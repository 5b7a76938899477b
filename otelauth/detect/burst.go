// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import "math"

const (
	// burstMax is the highest threshold of failure_burst.
	burstMax = 8
	// burstWindow is the time within which the guesses of a burst arrive.
	burstWindow = 10 * minute
	// burstUnit is the unit of the times between guesses, so that a byte holds any that counts.
	burstUnit = 3 * second
)

// burst holds the times between the last guesses of a network, the newest first, rounded up. So a
// window is at most 21 s shorter than burstWindow, and never longer.
type burst [burstMax - 1]uint8

// add adds a guess at now, where the previous one was at last; 0: there was none.
func (b *burst) add(now, last uint32) {
	if last == 0 {
		for i := range b {
			b[i] = math.MaxUint8
		}
		return
	}
	copy(b[1:], b[:])
	b[0] = uint8(min((now-last+burstUnit-1)/burstUnit, math.MaxUint8))
}

// took returns an upper bound of the time that the last n guesses took.
func (b *burst) took(n int) (seconds uint32) {
	for _, gap := range b[:n-1] {
		seconds += uint32(gap) * burstUnit
	}
	return seconds
}

// onBurst evaluates how fast the guesses of a network arrive. A network with a success has users
// who mistype, and of a client with an old password only the first attempt is a guess. first is the
// time of its first guess within 3 days.
func (e *engine) onBurst(m *moment, n *source, first uint32) {
	took := n.burst.took(min(e.th.BurstFailures+e.spread, burstMax))
	if took > burstWindow && !e.open(failureBurst, m.network) || e.crowd(m.network) > 0 {
		return
	}
	for _, rule := range [...]ruleID{bruteForce, passwordSpray, credentialStuffing} {
		if e.open(rule, m.network) || e.open(rule, m.pair) {
			return // an episode of higher severity has this attempt
		}
	}
	e.fire(m, firing{
		rule: failureBurst, key: m.network, first: max(first, e.now-took), attempts: uint64(e.th.BurstFailures),
		accounts: n.names.count(&e.blocks, e.at()), networks: 1,
	})
}
