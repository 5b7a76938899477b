// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

//go:build full

package enumeration

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

const (
	// cost is that of bcrypt. A hash takes some milliseconds, a tenth of a usual one, so that the
	// rest of the work is visible.
	cost = 7
	// margin is the smallest difference of the medians that counts, besides the p-value. It is
	// less than half of the planted one.
	margin = 0.02
	// batch is the number of requests without a hash in one measurement.
	batch = 256
)

// cpu returns the CPU time of this process in seconds.
func cpu(t *testing.T) float64 {
	t.Helper()
	return testkit.CPUTime(t).Seconds()
}

// lab measures one store.
type lab struct {
	t *testing.T
	w *world
	r *rand.Rand
	// names has the names of accounts and the unknown ones, of equal length and from one
	// generator.
	names [2][]string
	turn  int
}

func newLab(t *testing.T, k kind, costs []int, wrap func(verify.Accounts) verify.Accounts) *lab {
	t.Helper()
	l := &lab{t: t, r: rand.New(rand.NewPCG(1, 9))}
	var users []user
	hashes := make(map[int]string)
	for i := range samples {
		c := costs[i%len(costs)]
		if hashes[c] == "" {
			hashes[c] = k.hash(t, c)
		}
		users = append(users, user{l.name(), hashes[c]})
		l.names[0], l.names[1] = append(l.names[0], users[i].name), append(l.names[1], l.name())
	}
	open := k.fill(t, users)
	start := time.Now()
	now := func() time.Time { return start }
	l.w = &world{t: t}
	l.w.serve(wrap(open(t, now, 0, &l.w.queries)), now)
	return l
}

func (l *lab) name() string { return fmt.Sprintf("u%011x", l.r.Uint64()>>20) }

// measure measures each name of both classes, in pairs with a random order.
func (l *lab) measure(n int, prepare, request func(name string, i int)) comparison {
	l.t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	var got [2]sample
	for i := range samples {
		if i%16 == 0 {
			runtime.GC()
		}
		first := l.r.IntN(2)
		for _, class := range [...]int{first, 1 - first} {
			name := l.names[class][i]
			l.turn++
			prepare(name, l.turn)
			before := cpu(l.t)
			for range n {
				request(name, l.turn)
			}
			got[class] = append(got[class], (cpu(l.t)-before)/float64(n))
		}
	}
	return compare(got[0], got[1])
}

func (l *lab) report(what string, c comparison) {
	l.t.Helper()
	l.t.Logf("%s: unknown names compared with accounts: %v", what, c)
	if c.p < alpha && math.Abs(c.shift) > margin {
		l.t.Errorf("%s: the CPU time shows which names are accounts: %v", what, c)
	}
}

func nothing(string, int) {}

// guess sends a password that was never sent before.
func (l *lab) guess(name string, i int, from string, want int) {
	if a := l.w.send(name, fmt.Sprintf("guess-%08d", i), from); a.Status != want {
		l.t.Errorf("%s from %s: %d, want %d", name, from, a.Status, want)
	}
}

// TestTheTimeShowsNoAccount measures a first try, repeats, refusals, and refusals in the network
// of an owner. It is not parallel, because it measures the CPU time of the process.
func TestTheTimeShowsNoAccount(t *testing.T) {
	for _, k := range kinds() {
		t.Run(k.Name, func(t *testing.T) {
			l := newLab(t, k, []int{cost}, func(a verify.Accounts) verify.Accounts { return a })
			l.report("first try", l.measure(1, nothing, func(name string, i int) { l.guess(name, i, elsewhere(i), 401) }))
			l.report("repeat", l.measure(batch,
				func(name string, i int) { l.w.send(name, "wrong", elsewhere(i)) },
				func(name string, i int) { l.w.send(name, "wrong", elsewhere(i)) }))
			drain(l, away)
			l.report("refused", l.measure(batch, nothing, func(name string, i int) { l.guess(name, i, away, 429) }))
			reserve(l)
		})
	}
}

// drain empties the budget of a network.
func drain(l *lab, from string) {
	for i := range throttle.DefaultLimits().Network.Burst {
		l.w.send(fmt.Sprint("spray", i), "spray", from)
	}
}

// reserve measures guesses beyond the budgets in networks of owners. A reserve is for 300 guesses.
func reserve(l *lab) {
	l.t.Helper()
	per := throttle.DefaultLimits().Network.Burst
	owner := func(i int) string { return fmt.Sprintf("172.16.%d.7", i/per) }
	first := l.turn + 1
	for i := 0; i < 2*samples; i += per {
		if a := l.w.send(l.names[0][0], "right", owner(i)); a.Status != 200 {
			l.t.Fatalf("the owner: %d", a.Status)
		}
		drain(l, owner(i))
	}
	l.report("refused in the network of an owner", l.measure(1, nothing, func(name string, i int) {
		l.guess(name, i, owner(i-first), 429)
		if l.w.last.res.Hash.Scheme == "" {
			l.t.Error("not hashed, so this measurement is wrong")
		}
	}))
}

// TestTheTimeShowsNoAccountInAMixedStore measures a store with three costs.
func TestTheTimeShowsNoAccountInAMixedStore(t *testing.T) {
	l := newLab(t, kindNamed(t, "htpasswd"), []int{cost - 1, cost, cost + 1}, func(a verify.Accounts) verify.Accounts { return a })
	l.report("first try", l.measure(1, nothing, func(name string, i int) { l.guess(name, i, elsewhere(i), 401) }))
	l.report("repeat", l.measure(batch,
		func(name string, i int) { l.w.send(name, "wrong", elsewhere(i)) },
		func(name string, i int) { l.w.send(name, "wrong", elsewhere(i)) }))
}

// busy is a store that takes longer for an account than for another name.
type busy struct {
	verify.Accounts
	t     *testing.T
	extra float64 // seconds
}

func (b busy) Lookup(ctx context.Context, name string) (*verify.Account, error) {
	a, err := b.Accounts.Lookup(ctx, name)
	for until := cpu(b.t) + b.extra; a != nil && cpu(b.t) < until; {
	}
	return a, err
}

// TestThePlantedTimeIsFound: 5 % of the time of a first try is found, with as many measurements
// as for every store.
func TestThePlantedTimeIsFound(t *testing.T) {
	h, err := verifyTime(t)
	if err != nil {
		t.Fatal(err)
	}
	l := newLab(t, kindNamed(t, "static"), []int{cost}, func(a verify.Accounts) verify.Accounts { return busy{a, t, h * 0.05} })
	c := l.measure(1, nothing, func(name string, i int) { l.guess(name, i, elsewhere(i), 401) })
	t.Logf("planted 5 %%: %v", c)
	if c.p >= alpha || math.Abs(c.shift) <= margin {
		t.Errorf("a planted difference of 5 %% was not found: %v", c)
	}
}

// verifyTime returns the median CPU time of a hash in seconds.
func verifyTime(t *testing.T) (float64, error) {
	t.Helper()
	open := kindNamed(t, "static").fill(t, []user{{alice, kindNamed(t, "static").hash(t, cost)}})
	account, err := open(t, time.Now, 0, new(atomic.Int64)).Lookup(t.Context(), alice)
	if err != nil {
		return 0, err
	}
	var s sample
	for range 30 {
		before := cpu(t)
		account.Password.Verify([]byte("guess"))
		s = append(s, cpu(t)-before)
	}
	return median(s), nil
}
