// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"encoding/binary"
	"math/bits"
	"sync/atomic"
	"time"
)

// sketch remembers the debts of budgets that the exact table had no room for. It never forgets one before its time, so nobody
// gets a fresh budget by pushing his own out of the table with invented names.
//
// It is a count-min sketch (Cormode and Muthukrishnan 2005) whose cells hold moments in place of counts: adding a
// budget raises its cells to its TAT, and the estimate is the lowest of them. The estimate is never earlier than the truth,
// cells decay as time passes them, and since moments are merged by maximum and not by sum, a million strangers with
// one wrong guess each make nobody look worse than one wrong guess. Each kind of budget has cells of its own, because a debt that
// is small for one is large for another.
type sketch struct {
	cells []atomic.Uint32 // in ticks, rounded up
	width uint64          // of a row
}

const (
	sketchRows = 4
	sketchTick = 100 * time.Millisecond // a uint32 of them is 13 years
)

func newSketch(bytes int) *sketch {
	width := max(1, bytes/4/int(numBudgets)/sketchRows)
	return &sketch{cells: make([]atomic.Uint32, width*sketchRows*int(numBudgets)), width: uint64(width)}
}

// cell returns the cell of a key in a row. Keys are keyed hashes: nobody outside can aim at a cell.
func (s *sketch) cell(k *Key, b Budget, row uint64) *atomic.Uint32 {
	h := (binary.LittleEndian.Uint64(k[8:]) + row*(binary.LittleEndian.Uint64(k[:8])|1)) * 0x9e3779b97f4a7c15
	i, _ := bits.Mul64(h, s.width)
	return &s.cells[(uint64(b)*sketchRows+row)*s.width+i]
}

// raise notes that the budget of this key is spent up to tat.
func (s *sketch) raise(k *Key, b Budget, tat time.Duration) {
	v := uint32((tat + sketchTick - 1) / sketchTick)
	for row := range uint64(sketchRows) {
		c := s.cell(k, b, row)
		for {
			old := c.Load()
			if old >= v || c.CompareAndSwap(old, v) {
				break
			}
		}
	}
}

// tat returns the estimate for a key: its TAT or later.
func (s *sketch) tat(k *Key, b Budget) time.Duration {
	least := ^uint32(0)
	for row := range uint64(sketchRows) {
		least = min(least, s.cell(k, b, row).Load())
	}
	return time.Duration(least) * sketchTick
}
