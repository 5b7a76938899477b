// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import "math/bits"

// pairs records which accounts have succeeded from which networks within 30 days. Only successes
// write to it. It holds 16 pairs for each of Config.Entries, at 8 bytes a pair: 40 bits of the
// keyed hash and the hour of the last success. One of 2^37 unknown pairs is taken as known.
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

// bucket returns the bucket of a key. Keys are odd.
func (p *pairs) bucket(key uint64) *[ways]uint64 { return &p.places[key>>1&uint64(len(p.places)-1)] }

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
