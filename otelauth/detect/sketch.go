// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"math"
	"math/bits"
)

// distinct estimates the number of different values within a window by linear counting (Whang,
// Vander-Zanden and Taylor, 1990), on 256 bits in two generations. Values of the last window
// count, values older than two windows do not. The error is a few per cent up to 200; the
// estimate saturates at about 1,400. 72 bytes.
type distinct struct {
	cur, prev [distinctWords]uint64
	epoch     uint32
}

const (
	distinctWords = 4
	distinctBits  = distinctWords * 64
	// distinctMax is the highest threshold that an estimate can be compared with.
	distinctMax = 200
)

func (d *distinct) roll(epoch uint32) {
	switch {
	case epoch <= d.epoch:
		return
	case epoch == d.epoch+1:
		d.prev = d.cur
	default:
		d.prev = [distinctWords]uint64{}
	}
	d.cur = [distinctWords]uint64{}
	d.epoch = epoch
}

// add adds h and reports whether it is new. With n values added, n/256 of new values are taken as
// known.
func (d *distinct) add(h uint64, epoch uint32) bool {
	d.roll(epoch)
	// The top bits: keys of tables are odd.
	word, bit := h>>62, uint64(1)<<(h>>56%64)
	fresh := (d.cur[word]|d.prev[word])&bit == 0
	d.cur[word] |= bit
	return fresh
}

func (d *distinct) count(epoch uint32) int {
	d.roll(epoch)
	set := 0
	for i := range d.cur {
		set += bits.OnesCount64(d.cur[i] | d.prev[i])
	}
	return linear(set, distinctBits)
}

// linear returns the estimate of linear counting if set of m bits are set.
func linear(set, m int) int {
	if set == 0 {
		return 0
	}
	empty := float64(max(m-set, 1))
	return int(math.Round(float64(m) * math.Log(float64(m)/empty)))
}

// slots records in which of the last 384 windows something happened. 52 bytes.
type slots struct {
	bits [slotWords]uint64
	last uint32
}

const (
	slotWords = 6
	slotCount = slotWords * 64
)

func (s *slots) advance(w uint32) {
	if w <= s.last {
		return
	}
	if w-s.last >= slotCount {
		s.bits = [slotWords]uint64{}
	} else {
		for i := s.last + 1; i <= w; i++ {
			s.bits[i%slotCount/64] &^= 1 << (i % 64)
		}
	}
	s.last = w
}

func (s *slots) mark(w uint32) {
	s.advance(w)
	s.bits[s.last%slotCount/64] |= 1 << (s.last % 64)
}

func (s *slots) marked(w uint32) bool { return s.bits[w%slotCount/64]&(1<<(w%64)) != 0 }

// count returns the number of groups with a mark, of the last groups groups of size windows.
func (s *slots) count(groups, size uint32) int {
	n := 0
	for g := range groups {
		for i := range size {
			if back := g*size + i; back <= s.last && back < slotCount && s.marked(s.last-back) {
				n++
				break
			}
		}
	}
	return n
}

// tick detects a regular interval. 12 bytes.
type tick struct {
	last, interval uint32
	run            uint16
}

// minTick is the shortest interval in seconds; shorter ones are ordinary retries.
const minTick = 30

// at adds an event and returns how many intervals in a row have agreed within a tenth.
func (t *tick) at(now uint32) int {
	if t.last == 0 {
		t.last = now
		return 0
	}
	iv := now - t.last
	t.last = now
	slack := max(t.interval/10, 1)
	switch {
	case iv < minTick:
		t.run, t.interval = 0, 0
	case t.interval == 0 || iv+slack < t.interval || iv > t.interval+slack:
		t.run, t.interval = 1, iv
	default:
		t.run = min(t.run+1, math.MaxUint16-1)
		t.interval = (3*t.interval + iv + 2) / 4
	}
	return int(t.run)
}
