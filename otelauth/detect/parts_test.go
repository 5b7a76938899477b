// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/otelauth/otelauth-go/internal/testkit"
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

// TestDistinct: a counter is exact up to 64 values, and within 10 % above.
func TestDistinct(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var b blocks
	for _, n := range []int{1, 5, 6, 7, 20, 30, 63, 64, 65, 100, distinctMax} {
		sum := 0
		for range 200 {
			var d distinct
			for i := range n {
				h := rng.Uint64() | 1 // as keys are
				if fresh := d.add(&b, h, 1000); !fresh && n <= exactMax || d.add(&b, h, 1000) {
					t.Fatalf("the value %d of %d is known before it is added, or unknown after", i+1, n)
				}
			}
			if got := d.count(&b, 1000); got != n && n <= exactMax {
				t.Fatalf("%d values are counted as %d", n, got)
			}
			sum += d.count(&b, 1000)
			d.release(&b)
		}
		if mean := float64(sum) / 200; mean < 0.97*float64(n) || mean > 1.03*float64(n) {
			t.Errorf("%d values are estimated as %.1f", n, mean)
		}
	}
	if int(b.used) != 1 || len(b.free) != 1 {
		t.Errorf("%d blocks for one counter after the other, %d of them free", b.used, len(b.free))
	}
}

// TestDistinctSlides: a value counts for a window after it was last seen, in every size of a
// counter.
func TestDistinctSlides(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{1, inlineMax, inlineMax + 1, exactMax, 3 * exactMax} {
		var b blocks
		var d distinct
		value := func(i uint64) uint64 { return sip{1, 2}.pair(i, 3) | 1 }
		for i := range n {
			d.add(&b, value(i), 5000)
		}
		full := d.count(&b, 5000)
		d.add(&b, value(0), 5010)
		for slot, want := range map[uint32]int{5009: full, 5000 + windowSlots - 1: full} {
			other := distinct{}
			if d.n <= inlineMax {
				other = d
				if got := other.count(&b, slot); got != want {
					t.Errorf("%d values, %d slots later: %d, want %d", n, slot-5000, got, want)
				}
			}
		}
		if got := d.count(&b, 5000+windowSlots-1); got != full {
			t.Errorf("%d values are %d at the end of their window, and were %d", n, got, full)
		}
		if got := d.count(&b, 5000+windowSlots); got != 1 {
			t.Errorf("%d values: %d remain after their window; want the one that was seen again", n, got)
		}
		if d.add(&b, value(0), 5000+windowSlots) || d.count(&b, 4000) != 1 {
			t.Error("a value in its window is new")
		}
		if got := d.count(&b, 5000+2*windowSlots); got != 0 || len(b.free) != int(b.used) {
			t.Errorf("%d values remain, and %d of %d blocks are free", got, len(b.free), b.used)
		}
		for i := range n {
			if !d.add(&b, value(i), 9000) && n <= exactMax {
				t.Error("a value of an earlier window is known")
			}
		}
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	var k tally
	for i := range uint32(10) {
		if n, first := k.add(epoch+i*hour, day); n != uint64(i+1) || first != epoch {
			t.Fatalf("attempt %d: %d since %d", i+1, n, first)
		}
	}
	n, first := k.add(epoch+25*hour, day)
	if n < 8 || n > 10 || first < epoch+hour || first > epoch+4*hour {
		t.Errorf("%d attempts of the last day, since %d hours; want about 9 since the first", n, (first-epoch)/hour)
	}
	if n, first := k.add(epoch+60*hour, day); n != 1 || first != epoch+60*hour {
		t.Errorf("%d attempts since hour %d, after a day without", n, (first-epoch)/hour)
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	var s slots
	for _, w := range []uint32{1000, 1000, 1001, 1010, 1023, 1100} {
		s.mark(w)
	}
	if a, b, c := s.count(48), s.count(101), s.days(5); a != 1 || b != 5 || c != 3 {
		t.Errorf("marks in 48 and in 101 windows, and in 5 days: %d, %d, %d", a, b, c)
	}
	s.advance(1000 + slotCount)
	if n := s.count(slotCount); n != 4 {
		t.Errorf("%d marks after the first is out of range; want 4", n)
	}
	s.mark(10_000)
	if n := s.count(slotCount); n != 1 {
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
	table := newTable[int](1024, day, day)
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

// TestMemory compares the memory that the comment of Config.Entries states with the engine of the
// defaults, plus a block for each of its counters.
func TestMemory(t *testing.T) {
	if testkit.Race {
		return // the race detector takes memory
	}
	const stated = 64 << 20
	heap := func() int {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	cfg := Config{}
	if err := cfg.complete(); err != nil {
		t.Fatal(err)
	}
	q := newQueue(cfg.Queue)
	e := newEngine(&cfg, sip{1, 2}, func(*Detection) {}, func(ruleID, uint64, *sample) {})
	empty := heap() - before
	counters := len(e.tries.buckets) + 2*len(e.targets.buckets) + 3*len(e.sources.buckets) + 2*len(e.passwords.buckets) + 2*len(e.crowds.buckets)
	full := empty + counters*ways*(blockBytes+4) + maxEndpoints*int(unsafe.Sizeof(endpoint{})) + 2*len(e.recent.rings[0].places)*maxNameBytes +
		maxArrivals*(int(unsafe.Sizeof(recalled{}))+maxNameBytes)
	t.Logf("%d MiB, at most %d MiB with %d blocks", empty>>20, full>>20, counters*ways)
	if full > stated {
		t.Errorf("the engine can take %d bytes; the comment of Config.Entries states %d", full, stated)
	}
	runtime.KeepAlive(q)
	runtime.KeepAlive(e)
}
