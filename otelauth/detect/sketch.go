// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"encoding/binary"
	"math"
)

// A counter of different values divides its window into windowSlots slots. A value counts for the
// stated window, or for up to a twelfth less.
const (
	windowSlots = 12
	slotBits    = 5
	slotMask    = 1<<slotBits - 1 // a slot is stored as 1 + its number modulo slotMask; 0: none
)

const (
	// inlineMax is the number of values that a counter holds itself.
	inlineMax = 6
	// exactMax is the number of values that a counter counts exactly.
	exactMax = 64
	// blockBytes holds exactMax values, or a sketch with one position a byte.
	blockBytes = 4 * exactMax
	// distinctMax is the highest threshold that a count can be compared with.
	distinctMax = 200
)

// distinct counts the different values that were seen within a window. It is exact up to 64
// values: it holds 27 bits of the keyed hash of each, so it takes one of 30 values for another
// with a chance of 1 in 300,000. Above 64, it estimates by linear counting (Whang, Vander-Zanden
// and Taylor, 1990), which is off by a few per cent up to 200 and saturates at about 1,400. It
// counts exactly again after it was empty. 36 bytes, and a block above 6 values.
type distinct struct {
	values   [inlineMax]uint32
	last     uint32 // the newest slot
	block    uint32 // in blocks, from 1; 0 for none
	n        uint16 // values, or used positions of the sketch
	isSketch bool
}

// block holds values in little endian, or a sketch.
type block [blockBytes]uint8

// blocks lends blocks to counters. Its memory grows with the use, up to one block for each counter
// of the tables, and is used again.
type blocks struct {
	chunks [][]block
	used   uint32
	free   []uint32
}

const chunkBlocks = 128

func (b *blocks) at(n uint32) *block { return &b.chunks[(n-1)/chunkBlocks][(n-1)%chunkBlocks] }

func (b *blocks) take() uint32 {
	if n := len(b.free); n > 0 {
		id := b.free[n-1]
		b.free = b.free[:n-1]
		*b.at(id) = block{}
		return id
	}
	if int(b.used) == len(b.chunks)*chunkBlocks {
		b.chunks = append(b.chunks, make([]block, chunkBlocks))
	}
	b.used++
	return b.used
}

// release empties d and returns its block.
func (d *distinct) release(b *blocks) {
	if d.block != 0 {
		b.free = append(b.free, d.block)
	}
	*d = distinct{last: d.last}
}

// storedSlot returns a slot as a value stores it.
func storedSlot(slot uint32) uint32 { return slot%slotMask + 1 }

// isOver reports whether a stored slot, at most two windows old, is outside of the window.
func isOver(stored, slot uint32) bool {
	return (slot%slotMask+slotMask-(stored-1))%slotMask >= windowSlots
}

// value returns the i-th value of a counter that is exact.
func (d *distinct) value(b *blocks, i int) uint32 {
	if d.block == 0 {
		return d.values[i]
	}
	return binary.LittleEndian.Uint32(b.at(d.block)[4*i:])
}

func (d *distinct) store(b *blocks, i int, value uint32) {
	if d.block == 0 {
		d.values[i] = value
		return
	}
	binary.LittleEndian.PutUint32(b.at(d.block)[4*i:], value)
}

// roll removes the values that are older than the window.
func (d *distinct) roll(b *blocks, slot uint32) {
	if slot <= d.last {
		return
	}
	gap := slot - d.last
	d.last = slot
	switch {
	case d.n == 0:
	case gap >= windowSlots:
		d.release(b)
	case d.isSketch:
		p := b.at(d.block)
		for i, stored := range p {
			if stored != 0 && isOver(uint32(stored), slot) {
				p[i] = 0
				d.n--
			}
		}
		if d.n == 0 {
			d.release(b)
		}
	default:
		for i := int(d.n) - 1; i >= 0; i-- {
			if isOver(d.value(b, i)&slotMask, slot) {
				d.cut(b, i)
			}
		}
		d.shrink(b)
	}
}

// cut removes the i-th value.
func (d *distinct) cut(b *blocks, i int) {
	d.n--
	d.store(b, i, d.value(b, int(d.n)))
}

// shrink returns the block if the counter holds few values.
func (d *distinct) shrink(b *blocks) {
	if d.block == 0 || d.n > inlineMax/2 {
		return
	}
	small := distinct{n: d.n, last: d.last}
	for i := range int(d.n) {
		small.values[i] = d.value(b, i)
	}
	d.release(b)
	*d = small
}

// find returns the place of a value by its hash, or -1.
func (d *distinct) find(b *blocks, hash uint32) int {
	for i := range int(d.n) {
		if d.value(b, i)>>slotBits == hash {
			return i
		}
	}
	return -1
}

// hashOf returns the top bits of a hash, because keys of tables are odd.
func hashOf(h uint64) uint32 { return uint32(h >> (32 + slotBits)) }

// add adds h and reports whether it is new. In a sketch of n values, n/256 of the new ones are
// taken as known.
func (d *distinct) add(b *blocks, h uint64, slot uint32) bool {
	d.roll(b, slot)
	value := hashOf(h)<<slotBits | storedSlot(d.last)
	if d.isSketch {
		return d.mark(b, value)
	}
	if i := d.find(b, hashOf(h)); i >= 0 {
		d.store(b, i, value)
		return false
	}
	switch {
	case d.n == inlineMax && d.block == 0:
		values := d.values
		d.block = b.take()
		for i, v := range values {
			d.store(b, i, v)
		}
	case d.n == exactMax:
		var values [exactMax]uint32
		for i := range values {
			values[i] = d.value(b, i)
		}
		*b.at(d.block) = block{}
		d.isSketch, d.n = true, 0
		for _, v := range values {
			d.mark(b, v)
		}
		d.mark(b, value)
		return true
	}
	d.store(b, int(d.n), value)
	d.n++
	return true
}

// mark marks the position of a value in the sketch, and reports whether it was free.
func (d *distinct) mark(b *blocks, value uint32) bool {
	p := &b.at(d.block)[uint64(value)*blockBytes>>32]
	fresh := *p == 0
	if fresh {
		d.n++
	}
	*p = uint8(value & slotMask)
	return fresh
}

// remove removes h and reports whether it was present. A sketch cannot, and does not know.
func (d *distinct) remove(b *blocks, h uint64) bool {
	if d.isSketch {
		return false
	}
	i := d.find(b, hashOf(h))
	if i < 0 {
		return false
	}
	d.cut(b, i)
	d.shrink(b)
	return true
}

func (d *distinct) count(b *blocks, slot uint32) int {
	d.roll(b, slot)
	if d.isSketch {
		return linear(int(d.n), blockBytes)
	}
	return int(d.n)
}

// tally counts attempts within a window, in ten slots: those of the stated window, or of up to a
// tenth less. 28 bytes.
type tally struct {
	counts [tallySlots]uint16
	slot   uint32
	first  uint32 // time of the first attempt that counts, within a slot
}

const tallySlots = 10

func (t *tally) roll(now, window uint32) {
	width := window / tallySlots
	slot := now / width
	if slot <= t.slot {
		return
	}
	for i := t.slot + 1; i <= slot && i <= t.slot+tallySlots; i++ {
		t.counts[i%tallySlots] = 0
	}
	t.slot = slot
	for i := slot - tallySlots + 1; i <= slot; i++ {
		if t.counts[i%tallySlots] > 0 {
			t.first = max(t.first, i*width)
			return
		}
	}
	t.first = 0
}

// add counts an attempt and returns the number of attempts, and the time of the first.
func (t *tally) add(now, window uint32) (attempts uint64, first uint32) {
	t.roll(now, window)
	if t.first == 0 {
		t.first = now
	}
	p := &t.counts[t.slot%tallySlots]
	*p = min(*p, math.MaxUint16-1) + 1
	return t.total(), t.first
}

func (t *tally) total() (n uint64) {
	for _, c := range t.counts {
		n += uint64(c)
	}
	return n
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

// count returns the number of marks in the last n windows.
func (s *slots) count(n uint32) int {
	found := 0
	for back := range min(n, slotCount) {
		if back <= s.last && s.marked(s.last-back) {
			found++
		}
	}
	return found
}

// days returns the number of marks, of the last n days, that are 22 hours apart. Windows must be
// hours. One session counts once, even if it continues past midnight.
func (s *slots) days(n uint32) int {
	const apart = 22
	found := 0
	for back := uint32(0); back < n*24 && back <= s.last; {
		if !s.marked(s.last - back) {
			back++
			continue
		}
		found++
		back += apart
	}
	return found
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

// keptDistinct is a counter in a snapshot.
type keptDistinct struct {
	last   uint32
	values []uint32 // while it is exact
	sketch []byte
}

func (d *distinct) kept(b *blocks) (k keptDistinct) {
	k.last = d.last
	if d.isSketch {
		k.sketch = b.at(d.block)[:]
		return k
	}
	for i := range int(d.n) {
		k.values = append(k.values, d.value(b, i))
	}
	return k
}

// counter returns the counter of a snapshot. More values than it can have are damage.
func (k *keptDistinct) counter(dec *decoder) (d distinct) {
	d.last = k.last
	switch {
	case len(k.values) > exactMax || len(k.sketch) > blockBytes:
		dec.fail()
	case len(k.sketch) > 0:
		d.block, d.isSketch = dec.blocks.take(), true
		for i := range copy(dec.blocks.at(d.block)[:], k.sketch) {
			if k.sketch[i] != 0 {
				d.n++
			}
		}
	default:
		if len(k.values) > inlineMax {
			d.block = dec.blocks.take()
		}
		for i, v := range k.values {
			d.store(dec.blocks, i, v)
		}
		d.n = uint16(len(k.values))
	}
	return d
}
