// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// sketch remembers the debts of budgets that the exact table has no room for. It never forgets a
// debt before its time, so an attacker cannot evict its own debt with invented names to get a
// fresh budget.
//
// It is a count-min sketch (Cormode and Muthukrishnan 2005) whose cells hold moments in place of
// counts. A budget raises its cells to its TAT, and the estimate is the lowest of them, which is
// never too early. Cells decay as time passes. Moments merge by maximum and not by sum: a million
// clients with one wrong guess each cost others no more than one wrong guess. Each kind of budget
// has its own cells, because a debt that is small for one kind is large for another.
//
// The four cells of a key lie in one cache line, so that a flood costs one cache miss a key and
// not four.
//
// It allocates its memory at the first debt.
type sketch struct {
	cells atomic.Pointer[[]atomic.Uint32] // in ticks, rounded up; nil before the first debt
	width uint64                          // blocks of each kind
	first sync.Once
}

const (
	sketchRows  = 4
	sketchCells = 4 // of a row in a block
	sketchBlock = sketchRows * sketchCells
	sketchTick  = 100 * time.Millisecond // a uint32 of ticks is 13 years
)

func newSketch(bytes int) *sketch {
	width := max(1, bytes/4/int(budget.NumKinds)/sketchBlock)
	return &sketch{width: uint64(width)}
}

func (s *sketch) size() uint64 { return s.width * sketchBlock * uint64(budget.NumKinds) }

// room returns the cells and allocates them at the first call.
func (s *sketch) room() []atomic.Uint32 {
	s.first.Do(func() {
		cells := make([]atomic.Uint32, s.size())
		s.cells.Store(&cells)
	})
	return *s.cells.Load()
}

// block returns the block of a key's cells, and the bits that select them. Keys are keyed hashes,
// so no client can aim at a cell. The table uses other bytes of the key.
func (s *sketch) block(all []atomic.Uint32, k *budget.Key, b budget.Kind) (cells []atomic.Uint32, choice uint64) {
	h := binary.LittleEndian.Uint64(k[8:])
	i, choice := bits.Mul64(h, s.width)
	i = (uint64(b)*s.width + i) * sketchBlock
	return all[i : i+sketchBlock], choice >> 56
}

// raise records that the budget of this key is spent up to tat.
func (s *sketch) raise(k *budget.Key, b budget.Kind, tat time.Duration) {
	v := uint32((tat + sketchTick - 1) / sketchTick)
	cells, choice := s.block(s.room(), k, b)
	for row := range uint64(sketchRows) {
		c := &cells[row*sketchCells+choice>>(2*row)%sketchCells]
		for {
			old := c.Load()
			if old >= v || c.CompareAndSwap(old, v) {
				break
			}
		}
	}
}

// tat returns the estimate for a key: its TAT or later.
func (s *sketch) tat(k *budget.Key, b budget.Kind) time.Duration {
	all := s.cells.Load()
	if all == nil {
		return 0
	}
	least := ^uint32(0)
	cells, choice := s.block(*all, k, b)
	for row := range uint64(sketchRows) {
		least = min(least, cells[row*sketchCells+choice>>(2*row)%sketchCells].Load())
	}
	return time.Duration(least) * sketchTick
}
