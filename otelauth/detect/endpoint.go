// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"math"
	"math/bits"
)

// maxEndpoints bounds the endpoints that have a baseline. Routes are registered patterns, so no client can fill it.
// An endpoint takes 600 bytes.
const maxEndpoints = 1024

// endpoint is how often names fail at one, against how often it is used. It compares with itself: what is usual
// for it, in the hours before, with a half-life of 3 days.
type endpoint struct {
	names    [endpointWords]uint64 // that failed within this hour
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

// endpoint returns that of a route, moved to the present hour; nil when there are too many.
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
		// What an attack adds must not become usual while it is told.
		if p.attempts > 0 && !e.open(endpointFailureRatio, e.key.text(route)|1) {
			fade := math.Exp2(-1.0 / 72)
			p.usualNames = p.usualNames*fade + float64(p.failing())
			p.usualAttempts = p.usualAttempts*fade + float64(p.attempts)
			p.learned++
		}
		p.names, p.attempts, p.hour = [endpointWords]uint64{}, 0, now
	}
	return p
}

func (p *endpoint) failing() int {
	set := 0
	for _, w := range p.names {
		set += bits.OnesCount64(w)
	}
	return linear(set, endpointBits)
}

// onEndpoint is about the endpoint at which a guess was made.
func (e *engine) onEndpoint(m *moment) {
	p := e.endpoint(m.sample.route)
	if p == nil {
		return
	}
	p.attempts++
	h := m.account >> 8 % endpointBits
	p.names[h/64] |= 1 << (h % 64)
	if p.learned < learnedHours {
		return
	}
	names := float64(p.failing())
	if names < float64(e.th.EndpointNames) {
		return
	}
	usual := (p.usualNames + 1) / (p.usualAttempts + 100) * float64(p.attempts)
	if names >= 2*usual+float64(e.th.EndpointNames) && names >= usual+6*math.Sqrt(usual) {
		e.found(m, finding{
			rule: endpointFailureRatio, key: e.key.text(m.sample.route) | 1, first: p.hour * hour, attempts: uint64(names),
			accounts: int(names),
		})
	}
}
