// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import "math/bits"

// pairs remembers which accounts have succeeded from which networks within 30 days. Only right credentials write
// here. It is bounded: 8 bytes a pair, of which 16 for each of Config.Entries. A place holds 40 bits of the keyed hash and
// the hour of the last success; one in 2^37 pairs is wrongly believed to be known.
type pairs struct {
	places [][ways]uint64
}

const (
	pairLife     = 30 * day
	pairHourBits = 24
	pairHourMask = 1<<pairHourBits - 1
)

func newPairs(capacity int) *pairs {
	return &pairs{places: make([][ways]uint64, 1<<bits.Len(uint(max(capacity, 2*ways)/ways-1)))}
}

func (p *pairs) bucket(key uint64) *[ways]uint64 { return &p.places[key>>1&uint64(len(p.places)-1)] } // keys are odd

func (p *pairs) known(key uint64, now uint32) bool {
	for _, v := range p.bucket(key) {
		if v != 0 && v>>pairHourBits == key>>pairHourBits {
			return now/hour-uint32(v&pairHourMask) < pairLife/hour
		}
	}
	return false
}

func (p *pairs) learn(key uint64, now uint32) {
	b := p.bucket(key)
	oldest := 0
	for i, v := range b {
		if v>>pairHourBits == key>>pairHourBits {
			oldest = i
			break
		}
		if v&pairHourMask < b[oldest]&pairHourMask {
			oldest = i
		}
	}
	b[oldest] = key>>pairHourBits<<pairHourBits | uint64(now/hour)
}
