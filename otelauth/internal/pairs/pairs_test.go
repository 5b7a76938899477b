// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package pairs_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/internal/pairs"
)

// TestLife: a pair is known for its life after each success, and not before the first.
func TestLife(t *testing.T) {
	t.Parallel()
	const pair = 0x1234_5678_9abc_def1
	for _, start := range []uint64{0, 5, 1<<24 - 2, 1 << 40} {
		s := pairs.New(64, 100)
		if s.Contains(pair, start) {
			t.Fatalf("start %d: an empty Set contains a pair", start)
		}
		s.Add(pair, start)
		if got := s.Contains(pair, start); !got {
			t.Errorf("start %d: the pair is unknown in the same tick", start)
		}
	}
	s := pairs.New(64, 100)
	s.Add(pair, 1000)
	for now, want := range map[uint64]bool{1000: true, 1099: true, 1100: false, 999: false} {
		if got := s.Contains(pair, now); got != want {
			t.Errorf("tick %d: contained %t, want %t", now, got, want)
		}
	}
	s.Add(pair, 1050)
	if !s.Contains(pair, 1149) || s.Contains(pair, 1150) {
		t.Error("the second success does not extend the life")
	}
	if s.Contains(pair^1<<24, 1050) || s.Contains(pair^1<<63, 1050) {
		t.Error("a pair with another hash is contained")
	}
}

// TestEviction: a full bucket forgets the pair whose success is the oldest.
func TestEviction(t *testing.T) {
	t.Parallel()
	s := pairs.New(64, 1000)
	pair := func(i uint64) uint64 { return i<<24 | 1 } // all in one bucket
	for i := range uint64(8) {
		s.Add(pair(i+1), 100+i)
	}
	s.Add(pair(1), 200) // the oldest succeeds again
	s.Add(pair(9), 201)
	for i := range uint64(9) {
		if got, want := s.Contains(pair(i+1), 201), i+1 != 2; got != want {
			t.Errorf("pair %d: contained %t, want %t", i+1, got, want)
		}
	}
}

// TestCapacity: most of as many pairs as the capacity are remembered.
func TestCapacity(t *testing.T) {
	t.Parallel()
	const capacity = 1 << 12
	s := pairs.New(capacity, 1000)
	r := rand.New(rand.NewPCG(1, 2))
	added := make([]uint64, capacity)
	for i := range added {
		added[i] = r.Uint64()
		s.Add(added[i], 1)
	}
	kept := 0
	for _, p := range added {
		if s.Contains(p, 1) {
			kept++
		}
	}
	if kept < capacity*8/10 {
		t.Errorf("%d of %d pairs are kept", kept, capacity)
	}
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	s := pairs.New(64, 1000)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range uint64(1000) {
				s.Add(i<<24|1, i)
				s.Contains(i<<24|1, i)
			}
		})
	}
	all.Wait()
}
