// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budgettest"
)

// heap returns the bytes in use after a garbage collection.
func heap() int64 {
	for range 3 { // pools and finalizers take more than one collection
		runtime.GC()
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// TestMemoryIsTakenAsItFills: a service without guesses pays nothing, one with a hundred users for
// a hundred. It is not parallel, because it measures.
func TestMemoryIsTakenAsItFills(t *testing.T) {
	c := newClock()
	before := heap()
	m := newMemory(t, throttle.MemoryConfig{Elapsed: c.Elapsed, Now: c.Now})
	if empty := heap() - before; empty > 1<<17 {
		t.Errorf("an empty store takes %d bytes", empty)
	}
	for i := range 100 {
		b := budgettest.Bill(fmt.Sprint(i), fmt.Sprint(i), fmt.Sprint(i))
		for _, how := range []throttle.Settlement{throttle.Wrong, throttle.Right} {
			a, err := m.Spend(t.Context(), b)
			if err != nil || a.Verdict != throttle.Granted {
				t.Fatal(a, err)
			}
			m.Settle(t.Context(), b, a.Receipt, how)
		}
	}
	if few := heap() - before; few > 3<<19 || few < 1<<17 {
		t.Errorf("a store with a hundred users takes %d bytes", few)
	}
	runtime.KeepAlive(m)
}

// randomBill returns a bill of budgets that no other bill has. The sketch, which is coarser than a
// millisecond, would take one more guess from each.
func randomBill(r *rand.Rand) budget.Bill {
	b := budget.Bill{KnownPair: budget.Limit{Burst: 90, Every: time.Hour + time.Millisecond}, Remember: 24 * time.Hour, Lease: time.Hour}
	for i := range b.Charges[:budget.Requests] {
		var k budget.Key
		binary.LittleEndian.PutUint64(k[:], r.Uint64())
		binary.LittleEndian.PutUint64(k[8:], r.Uint64())
		b.Charges[i] = budget.Charge{Key: k, Limit: budget.Limit{Burst: 10 + r.IntN(80), Every: time.Hour + time.Millisecond}}
	}
	return b
}

// TestGrowthLosesNothing: a table holds the same after it has grown, unsettled guesses and known
// pairs included.
func TestGrowthLosesNothing(t *testing.T) {
	t.Parallel()
	c := newClock()
	// Large enough that no bucket is full at the end, so nothing goes to the sketch.
	m := newMemory(t, throttle.MemoryConfig{Bytes: 128 << 20, Elapsed: c.Elapsed, Now: c.Now})
	r := rand.New(rand.NewPCG(1, 2))
	type account struct {
		bill    budget.Bill
		receipt *budget.Receipt // of an unsettled guess
		known   bool
		wrong   int
		clear   int // wrong guesses that the budget of the pair does not count
	}
	var all []*account
	least := 0 // the minimum number of budgets that are not full
	check := func(when string) {
		t.Helper()
		for i, a := range all {
			v, err := m.Look(t.Context(), a.bill)
			if err != nil {
				t.Fatal(err)
			}
			held := 0
			if a.receipt != nil {
				held = 1
			}
			for b := range budget.Requests {
				limit, spent, on := a.bill.Charges[b].Limit, a.wrong, held
				if b == budget.Pair && a.known {
					limit, spent = a.bill.KnownPair, a.wrong-a.clear
				} else if a.known {
					spent, on = a.clear, 0
				}
				if got := v.Budgets[b]; got.Left != limit.Burst-spent || got.Held != on || v.Known != a.known {
					t.Fatalf("%s: account %d of %d, known %v: the %v budget has %+v, want %d left and %d held",
						when, i, len(all), v.Known, b, got, limit.Burst-spent, on)
				}
			}
		}
		if n := m.Len(); n < least || n > 4*len(all) {
			t.Fatalf("%s: %d budgets, want %d to %d", when, n, least, 4*len(all))
		}
	}
	spend := func(a *account) budget.Receipt {
		t.Helper()
		got, err := m.Spend(t.Context(), a.bill)
		if err != nil || got.Verdict != throttle.Granted {
			t.Fatal(got, err)
		}
		return got.Receipt
	}
	n := 20_000 // 4 budgets each
	if testkit.Race {
		n /= 4
	}
	for i := range n {
		a := &account{bill: randomBill(r)}
		wrong := func() {
			for range r.IntN(4) {
				m.Settle(t.Context(), a.bill, spend(a), throttle.Wrong)
				a.wrong++
			}
		}
		wrong()
		if r.IntN(3) == 0 {
			m.Settle(t.Context(), a.bill, spend(a), throttle.Right)
			a.known, a.clear = true, a.wrong
			wrong()
		}
		if r.IntN(20) == 0 || a.wrong == 0 && !a.known {
			receipt := spend(a)
			a.receipt = &receipt
		}
		all = append(all, a)
		if least++; !a.known || a.clear > 0 {
			least += 3
		}
		if i&(i+1) == 0 {
			check("on the way")
		}
	}
	check("full")
	for _, a := range all {
		if a.receipt != nil {
			m.Settle(t.Context(), a.bill, *a.receipt, throttle.Wrong)
			a.receipt = nil
			a.wrong++
		}
	}
	check("settled")
}

// TestASnapshotIsReadIntoTablesThatGrow: a large snapshot is read into tables that begin small.
func TestASnapshotIsReadIntoTablesThatGrow(t *testing.T) {
	t.Parallel()
	c := newClock()
	cfg := throttle.MemoryConfig{
		SnapshotFile: filepath.Join(t.TempDir(), "budgets"), SnapshotKey: key, Elapsed: c.Elapsed, Now: c.Now,
		Notice: func(_ context.Context, n attempt.Notice) { t.Error(n.Message, n.Err) },
	}
	m := newMemory(t, cfg)
	r := rand.New(rand.NewPCG(3, 4))
	all := make([]budget.Bill, 10_000)
	for i := range all {
		all[i] = randomBill(r)
		for n := range 2 + i%2 {
			a, err := m.Spend(t.Context(), all[i])
			if err != nil || a.Verdict != throttle.Granted {
				t.Fatal(a, err)
			}
			how := throttle.Wrong
			if n == 2 {
				how = throttle.Right
			}
			m.Settle(t.Context(), all[i], a.Receipt, how)
		}
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	again := newMemory(t, cfg)
	if got, want := again.Len(), 4*len(all); got != want {
		t.Errorf("%d budgets of %d", got, want)
	}
	for i, b := range all {
		before, _ := m.Look(t.Context(), b)
		after, err := again.Look(t.Context(), b)
		if err != nil || after != before || after.Known != (i%2 == 1) {
			t.Fatalf("account %d: %+v, %v; want %+v", i, after, err, before)
		}
	}
}

// TestGrowthUnderGuessers: many clients guess while the tables grow. Each budget grants what it
// has, and no more.
func TestGrowthUnderGuessers(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := newMemory(t, throttle.MemoryConfig{Bytes: 16 << 20, Elapsed: c.Elapsed, Now: c.Now})
	r := rand.New(rand.NewPCG(5, 6))
	shared := make([]budget.Bill, 50)
	for i := range shared {
		shared[i] = randomBill(r)
	}
	granted := make([]atomic.Int64, len(shared))
	var guessers sync.WaitGroup
	for g := range 8 {
		guessers.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(g)))
			for i := range 2000 {
				for _, b := range []budget.Bill{shared[i%len(shared)], randomBill(r)} {
					a, err := m.Spend(t.Context(), b)
					if err != nil {
						t.Error(err)
						return
					}
					if a.Verdict != throttle.Granted {
						continue
					}
					m.Settle(t.Context(), b, a.Receipt, throttle.Wrong)
					if b == shared[i%len(shared)] {
						granted[i%len(shared)].Add(1)
					}
				}
			}
		})
	}
	guessers.Wait()
	for i, b := range shared {
		least := int64(budget.MaxBurst)
		for _, charge := range b.Charges[:budget.Requests] {
			least = min(least, int64(charge.Limit.Burst))
		}
		if got := granted[i].Load(); got != least { // each was guessed at 320 times
			t.Errorf("a budget of %d guesses granted %d", least, got)
		}
	}
}

// TestGrowthEndsAtTheBound: the tables never grow beyond their bound.
func TestGrowthEndsAtTheBound(t *testing.T) {
	t.Parallel()
	c := newClock()
	const bytes = 2 << 20
	m := newMemory(t, throttle.MemoryConfig{Bytes: bytes, Elapsed: c.Elapsed, Now: c.Now})
	r := rand.New(rand.NewPCG(8, 9))
	const budgets, known = bytes / 2 / 40, bytes / 4 / 40
	for range 40_000 {
		b := randomBill(r)
		for _, how := range []throttle.Settlement{throttle.Wrong, throttle.Right} {
			if a, err := m.Spend(t.Context(), b); err != nil {
				t.Fatal(err)
			} else if a.Verdict == throttle.Granted {
				m.Settle(t.Context(), b, a.Receipt, how)
			}
		}
	}
	if n := m.Len(); n > budgets+known || n < (budgets+known)*9/10 {
		t.Errorf("%d budgets and known pairs, want nearly %d", n, budgets+known)
	}
}
