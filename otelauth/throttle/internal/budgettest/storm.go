// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package budgettest

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// Storm tries distinct wrong passwords of one account from one network in parallel workers,
// guesses in all, each until it is granted or refused. It returns the number of granted guesses,
// which are those that reach the hash. name makes these passwords distinct from those of other
// Storms.
func Storm(ctx context.Context, th throttle.Throttle, name string, guesses, workers int) (hashed int, err error) {
	next := make(chan int)
	var reached atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range next {
				g := throttle.Guess{Account: "victim", Network: netip.MustParsePrefix("192.0.2.1/32")}
				sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, i))
				copy(g.Fingerprint[:], sum[:])
				granted, err := insist(ctx, th, g)
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
				if granted {
					reached.Add(1)
					th.Settle(ctx, g, throttle.Wrong)
				}
			}
		})
	}
	for i := range guesses {
		next <- i
	}
	close(next)
	wg.Wait()
	if e := failed.Load(); e != nil {
		err = *e
	}
	return int(reached.Load()), err
}

// insist asks until the answer is not Held, as the gate does.
func insist(ctx context.Context, th throttle.Throttle, g throttle.Guess) (granted bool, err error) {
	for {
		d, err := th.Spend(ctx, g)
		if err != nil || d.Verdict != throttle.Held {
			return d.Verdict == throttle.Granted, err
		}
		select {
		case <-d.Changed:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

// StormLimits returns limits of 5 guesses that do not come back while a test runs.
func StormLimits() throttle.Limits {
	five := throttle.Limit{Burst: 5, Every: time.Hour}
	return throttle.Limits{NewPair: five, KnownPair: five, Account: five, Network: five, Site: five}
}

// StormKey returns the Config.Key that the processes of one Storm share.
func StormKey() []byte { return []byte("the key of all the storm's processes") }

// storm runs four Budgets on one store, as four processes would.
func storm(t *testing.T, h Harness) {
	t.Helper()
	const processes, guesses, workers = 4, 100, 64
	var reached atomic.Int64
	var wg sync.WaitGroup
	var all []throttle.Throttle
	for i := range processes {
		s := h.Store
		if i > 0 && h.Peer != nil {
			s = h.Peer(t)
		}
		th, err := throttle.New(throttle.Config{Store: s, Key: StormKey(), Limits: StormLimits()})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, th)
	}
	for i, th := range all {
		wg.Go(func() {
			n, err := Storm(t.Context(), th, fmt.Sprint("process ", i), guesses/processes, workers/processes)
			if err != nil {
				t.Error(err)
			}
			reached.Add(int64(n))
		})
	}
	wg.Wait()
	if n := reached.Load(); n != 5 {
		t.Errorf("%d guesses reached the hash, want exactly 5", n)
	}
}

// concurrent settles guesses in all ways at once. In the end only the wrong ones are charged.
func concurrent(t *testing.T, h Harness) {
	t.Helper()
	big := budget.Limit{Burst: 2000, Every: time.Hour}
	bill := func(i int) budget.Bill {
		b := budget.Bill{KnownPair: big, Remember: 24 * time.Hour, Lease: time.Hour}
		for j, name := range []string{fmt.Sprint("pair", i%3), "account", fmt.Sprint("network", i%3), "site"} {
			b.Charges[j] = budget.Charge{Key: Key(name), Limit: big}
		}
		return b
	}
	stores := []budget.Store{h.Store}
	if h.Peer != nil {
		stores = append(stores, h.Peer(t), h.Peer(t), h.Peer(t))
	}
	const workers, each = 16, 30
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for w := range workers {
		s := stores[w%len(stores)]
		wg.Go(func() {
			for i := range each {
				b := bill(w + i)
				a, err := s.Spend(t.Context(), b)
				if err != nil || a.Verdict != throttle.Granted {
					t.Errorf("Spend: %v, %v", a.Verdict, err)
					return
				}
				how := throttle.Unjudged
				if i%2 == 0 {
					how = throttle.Wrong
					wrong.Add(1)
				}
				s.Settle(t.Context(), b, a.Receipt, how)
			}
		})
	}
	wg.Wait()
	want := big.Burst - int(wrong.Load())
	// A remote store may settle after Settle has returned.
	for deadline := time.Now().Add(10 * time.Second); ; {
		v := look(t, h.Store, bill(0))
		if got := v.Budgets[budget.Account]; got.Held == 0 && got.Left == want {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("the account has %d left and %d held, want %d and 0", got.Left, got.Held, want)
		}
	}
}
