// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"math"
	"math/bits"
	"slices"
)

// maxEndpoints is the number of endpoints that have a baseline, at 900 bytes each. Routes are
// registered patterns, so clients cannot fill it.
const maxEndpoints = 896

// endpoint is the ratio of failing names to attempts at one endpoint, in this hour and usually.
// The usual ratio has a half-life of 3 days.
type endpoint struct {
	names    [endpointWords]uint64 // that failed within this hour; a bit each
	few      [exactMax]uint32      // the first of them, so that few are counted exactly
	exact    uint8                 // of few
	attempts uint32                // within this hour
	hour     uint32
	learned  uint32 // hours with traffic

	usualNames    float64
	usualAttempts float64
}

const (
	endpointWords = 64
	endpointBits  = endpointWords * 64
	learnedHours  = 48
)

// endpoint returns the endpoint of a route, advanced to the current hour; nil if there are too
// many.
func (e *engine) endpoint(route string) *endpoint {
	p := e.endpoints[route]
	if p == nil {
		if len(e.endpoints) >= maxEndpoints {
			return nil
		}
		p = &endpoint{hour: e.now / hour}
		e.endpoints[route] = p
	}
	if now := e.now / hour; now != p.hour {
		// An attack must not become usual while its episode is open.
		if p.attempts > 0 && !e.open(endpointFailureRatio, e.key.text(route)|1) {
			fade := math.Exp2(-1.0 / 72)
			p.usualNames = p.usualNames*fade + float64(p.failing())
			p.usualAttempts = p.usualAttempts*fade + float64(p.attempts)
			p.learned++
		}
		p.names, p.exact, p.attempts, p.hour = [endpointWords]uint64{}, 0, 0, now
	}
	return p
}

// fail adds a failing name.
func (p *endpoint) fail(account uint64) {
	h := account >> 8 % endpointBits
	p.names[h/64] |= 1 << (h % 64)
	if hash := uint32(account >> 32); p.exact < exactMax && !slices.Contains(p.few[:p.exact], hash) {
		p.few[p.exact] = hash
		p.exact++
	}
}

// failing returns the number of failing names: exactly if there are less than 64.
func (p *endpoint) failing() int {
	if p.exact < exactMax {
		return int(p.exact)
	}
	set := 0
	for _, w := range p.names {
		set += bits.OnesCount64(w)
	}
	return linear(set, endpointBits)
}

// onEndpoint evaluates the endpoint of a guess.
func (e *engine) onEndpoint(m *moment) {
	p := e.endpoint(m.sample.route)
	if p == nil {
		return
	}
	p.attempts++
	p.fail(m.account)
	if p.learned < learnedHours {
		return
	}
	names := float64(p.failing())
	if names < float64(e.th.EndpointNames) {
		return
	}
	usual := (p.usualNames + 1) / (p.usualAttempts + 100) * float64(p.attempts)
	if names >= 2*usual+float64(e.th.EndpointNames) && names >= usual+6*math.Sqrt(usual) {
		e.fire(m, firing{
			rule: endpointFailureRatio, key: e.key.text(m.sample.route) | 1, first: p.hour * hour, attempts: uint64(names),
			accounts: int(names),
		})
	}
}
