// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// TestSipHash: the vectors of the reference implementation, key 00…0f, messages 00, 00 01, ….
func TestSipHash(t *testing.T) {
	t.Parallel()
	k := sip{0x0706050403020100, 0x0f0e0d0c0b0a0908}
	message := string([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
	for n, want := range map[int]uint64{
		0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 7: 0xab0200f58b01d137, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5, 16: 0x3f2acc7f57c29bdb,
	} {
		if got := k.text(message[:n]); got != want {
			t.Errorf("%d bytes: %#x, want %#x", n, got, want)
		}
	}
	if got := k.pair(0x0706050403020100, 0x0f0e0d0c0b0a0908); got != k.text(message) {
		t.Errorf("a pair is %#x, its bytes are %#x", got, k.text(message))
	}
}

// TestDistinct: an estimate is within 3 %, for values of one window, and not beyond two.
func TestDistinct(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 5, 10, 20, 30, 100, distinctMax} {
		sum := 0
		for range 200 {
			var d distinct
			for range n {
				h := rng.Uint64() | 1 // as keys are
				d.add(h, 10)
				d.add(h, 10)
			}
			sum += d.count(10)
		}
		if mean := float64(sum) / 200; mean < 0.97*float64(n) || mean > 1.03*float64(n) {
			t.Errorf("%d values are estimated as %.1f", n, mean)
		}
	}
	var d distinct
	if !d.add(1<<60, 10) || d.add(1<<60, 11) || d.count(12) != 1 || d.count(13) != 0 || d.count(5) != 0 {
		t.Error("the window does not slide")
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	var s slots
	for _, w := range []uint32{1000, 1000, 1001, 1010, 1023, 1100} {
		s.mark(w)
	}
	if a, b, c := s.count(48, 1), s.count(101, 1), s.count(5, 24); a != 1 || b != 5 || c != 3 {
		t.Errorf("marks in 48, 101 and 5 × 24 windows: %d, %d, %d", a, b, c)
	}
	s.advance(1000 + slotCount)
	if n := s.count(slotCount, 1); n != 4 {
		t.Errorf("%d marks after the first is out of range; want 4", n)
	}
	s.mark(10_000)
	if n := s.count(slotCount, 1); n != 1 {
		t.Errorf("%d marks after a long time; want 1", n)
	}
}

func TestTick(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	longest := func(next func() float64) int {
		var k tick
		now, best := 1000.0, 0
		for range 5000 {
			best = max(best, k.at(uint32(now)))
			now += next()
		}
		return best
	}
	if n := longest(func() float64 { return 3600 * (0.97 + 0.06*rng.Float64()) }); n < 100 {
		t.Errorf("intervals of an hourly script agree %d times in a row; want 100", n)
	}
	if n := longest(func() float64 { return 600 * rng.ExpFloat64() }); n >= 8 {
		t.Errorf("random intervals agree %d times in a row", n)
	}
	if n := longest(func() float64 { return 5 }); n > 0 {
		t.Errorf("intervals of 5 s agree %d times; want 0", n)
	}
}

// TestTableKeepsTheStrong: a flood of ten times as many keys as places does not evict a key that
// was touched twice.
func TestTableKeepsTheStrong(t *testing.T) {
	t.Parallel()
	k := sip{1, 2}
	table := newTable[int](1024, day)
	size := len(table.buckets) * ways
	strong := make([]uint64, 64)
	for i := range strong {
		strong[i] = k.pair(uint64(i), 7) | 1
		table.touch(strong[i], epoch, 1).value = i
		table.touch(strong[i], epoch, 1)
	}
	for i := range 10 * size {
		table.touch(k.pair(uint64(i), 8)|1, epoch+uint32(i/100), 1)
	}
	for i, key := range strong {
		if p := table.get(key); p == nil || p.value != i {
			t.Fatalf("key %d was evicted", i)
		}
	}
	if table.live > size {
		t.Errorf("%d entries in %d places", table.live, size)
	}
	// Strong entries of long ago are evicted.
	for i := range 10 * size {
		table.touch(k.pair(uint64(i), 9)|1, epoch+60*day, 1)
	}
	if table.get(strong[0]) != nil {
		t.Error("a key of two months ago is not evicted")
	}
}

// TestQueue: with many producers, each sample arrives once, or claim returned nil.
func TestQueue(t *testing.T) {
	t.Parallel()
	q := newQueue(64)
	const producers, each = 4, 5000
	var wg sync.WaitGroup
	var mu sync.Mutex
	full := 0
	for p := range producers {
		wg.Go(func() {
			lost := 0
			for i := range each {
				place, pos := q.claim()
				if place == nil {
					lost++
					continue
				}
				place.s.fingerprint = uint64(p*each + i)
				place.s.at = time.Unix(int64(i), 0)
				place.seq.Store(pos + 1)
			}
			mu.Lock()
			full += lost
			mu.Unlock()
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	seen := map[uint64]bool{}
	drain := func() {
		var s sample
		for q.get(&s) {
			if seen[s.fingerprint] || s.at.Unix() != int64(s.fingerprint%each) {
				t.Errorf("sample %d arrived twice or mixed with another", s.fingerprint)
			}
			seen[s.fingerprint] = true
		}
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		drain()
	}
	if len(seen)+full != producers*each {
		t.Errorf("%d arrived and %d were refused, of %d", len(seen), full, producers*each)
	}
}

// TestQueuedSize compares the comment of Config.Queue with the size of a place.
func TestQueuedSize(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("config.go")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("Default: 8,192, of %d bytes each.", unsafe.Sizeof(queued{})); !strings.Contains(string(src), want) {
		t.Errorf("the comment of Config.Queue must contain %q", want)
	}
}
