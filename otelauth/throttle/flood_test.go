// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// guess returns a guess whose fingerprint belongs to this name and password.
func guess(name, pass, network string) throttle.Guess {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s:%s", len(name), name, pass))
	return throttle.Guess{Account: name, Network: netip.MustParsePrefix(network), Fingerprint: [16]byte(sum[:16])}
}

// stranger returns the n-th of many guesses, each with a name, a network and a password of its
// own.
func stranger(n int) throttle.Guess {
	var a [16]byte
	a[0], a[1] = 0x20, 0x01
	binary.BigEndian.PutUint32(a[2:], uint32(n)) // and a site of its own
	g := throttle.Guess{Account: fmt.Sprint("stranger", n), Network: netip.PrefixFrom(netip.AddrFrom16(a), 64)}
	binary.BigEndian.PutUint64(g.Fingerprint[:], uint64(n)*0x9e3779b97f4a7c15)
	return g
}

func wrong(t testing.TB, th throttle.Throttle, g throttle.Guess) throttle.Verdict {
	t.Helper()
	return settle(t, th, g, throttle.Wrong)
}

func settle(t testing.TB, th throttle.Throttle, g throttle.Guess, s throttle.Settlement) throttle.Verdict {
	t.Helper()
	d, err := th.Spend(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	if d.Verdict == throttle.Granted {
		th.Settle(t.Context(), g, s)
	}
	return d.Verdict
}

// flood sends n guesses of strangers, 5,000 a second, which is more than password hashes allow,
// with an attack and an owner among them. It asserts that the attack was counted and the owner
// remembered.
func flood(t testing.TB, th *throttle.Budgets, c *clock, n int) {
	t.Helper()
	owner := guess("alice", "wonderland", home)
	if v := settle(t, th, owner, throttle.Right); v != throttle.Granted {
		t.Fatalf("the owner: %v", v)
	}
	const attackers = 5
	hashed := 0
	for i := range n {
		wrong(t, th, stranger(i))
		if i%(n/100) == 0 { // an attack: 100 guesses from each of five hosts
			for a := range attackers {
				g := guess("bob", fmt.Sprint("try", a, i), host(a))
				if wrong(t, th, g) == throttle.Granted {
					hashed++
				}
			}
		}
		if i%5 == 0 {
			c.Advance(time.Millisecond)
		}
	}
	// The account's burst of 50, and the guesses that have come back since.
	if most := 50 + int(c.Elapsed()/time.Minute); hashed > most {
		t.Errorf("a flood of %d names made room for %d guesses of an attack, want at most %d", n, hashed, most)
	}
	if v := wrong(t, th, guess("bob", "one more", host(77))); v != throttle.Refused {
		t.Error("the attacked account's count was forgotten")
	}
	e, err := th.Explain(t.Context(), throttle.Subject{Account: "alice", Network: netip.MustParsePrefix(home)})
	if err != nil || !e.Known {
		t.Errorf("the owner's pair was forgotten: %+v, %v", e, err)
	}
	// New legitimate users are not refused because of the strangers.
	for i := range 100 {
		if v := settle(t, th, guess(fmt.Sprint("newcomer", i), "right", fmt.Sprintf("203.0.%d.1/32", i)), throttle.Right); v != throttle.Granted {
			t.Errorf("newcomer %d: %v", i, v)
		}
	}
}

func TestAFloodOfNamesForgetsNobody(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := newMemory(t, throttle.MemoryConfig{Bytes: 1 << 20, Elapsed: c.Elapsed, Now: c.Now})
	th := newGuesses(t, throttle.Config{Store: m, Elapsed: c.Elapsed, Now: c.Now})
	n := 100_000 // four budgets each, in a table of 13,107
	if testkit.Race {
		n /= 4
	}
	flood(t, th, c, n)
	if n := m.Len(); n > 1<<20/40 {
		t.Errorf("%d budgets of 40 bytes in %d bytes", n, 1<<20)
	}
}

// TestMemoryStaysUnderItsBound measures the memory against its bound. It is not parallel, because
// it measures.
func TestMemoryStaysUnderItsBound(t *testing.T) {
	const bytes = 8 << 20
	c := newClock()
	before := heap()
	m := newMemory(t, throttle.MemoryConfig{Bytes: bytes, Elapsed: c.Elapsed, Now: c.Now})
	th := newGuesses(t, throttle.Config{Store: m, Elapsed: c.Elapsed, Now: c.Now})
	for i := range 100_000 {
		wrong(t, th, stranger(i))
		if i%10 == 0 {
			settle(t, th, stranger(-1-i), throttle.Right)
		}
	}
	after := heap() - before
	runtime.KeepAlive(th)
	if after > bytes+4<<20 {
		t.Errorf("a store of %d bytes and its Guesses, which say 3 MB, take %d", bytes, after)
	}
	if n := m.Len(); n < bytes/2/40*9/10 || n > bytes*3/4/40 {
		t.Errorf("%d budgets in %d bytes", n, bytes)
	}
}

func TestALongFloodOfStrangersIsSwept(t *testing.T) {
	t.Parallel()
	c := newClock()
	m := newMemory(t, throttle.MemoryConfig{Bytes: 1 << 20, Elapsed: c.Elapsed, Now: c.Now})
	th := newGuesses(t, throttle.Config{Store: m, Elapsed: c.Elapsed, Now: c.Now})
	for i := range 2000 {
		wrong(t, th, stranger(i))
	}
	full := m.Len()
	c.Advance(time.Hour)
	for i := range 3000 {
		wrong(t, th, stranger(1<<20+i))
		c.Advance(time.Second)
	}
	// What 3000 strangers spent in 50 minutes has come back, except for the last minute.
	if n := m.Len(); full < 7500 || n > 4000 {
		t.Errorf("%d budgets of the past hour, then %d: those that filled up again were not swept", full, n)
	}
}

// TestHeavierDebtsPushNobodyOut: the sketch remembers a debt that heavier ones have evicted from
// the table. An operator can clear it there too.
func TestHeavierDebtsPushNobodyOut(t *testing.T) {
	t.Parallel()
	three := throttle.Limit{Burst: 3, Every: time.Minute}
	th, _, _ := desk(t, throttle.Limits{NewPair: three, Account: three})
	for i := range 2 {
		wrong(t, th, guess("bob", fmt.Sprint(i), office))
	}
	heavy := func(from int) {
		for i := range 14_000 {
			g := stranger(from + i)
			for range 3 {
				g.Fingerprint[0]++
				wrong(t, th, g)
			}
		}
	}
	left := func(what string, wantPair, wantAccount int) {
		t.Helper()
		e, err := th.Explain(t.Context(), subject("bob", office))
		if err != nil {
			t.Fatal(err)
		}
		if pair, account := e.Budgets[0].Left, e.Budgets[1].Left; pair > wantPair || pair < wantPair-1 || account > wantAccount {
			t.Errorf("%s: the pair has %d left and the account %d, want %d or one less and at most %d", what, pair, account, wantPair, wantAccount)
		}
	}
	heavy(0)
	left("pushed out", 1, 1) // its cells in the sketch may be shared
	if err := th.Clear(t.Context(), subject("bob", office), act); err != nil {
		t.Fatal(err)
	}
	left("cleared", 3, 1)
	heavy(1 << 24)
	left("cleared, and pushed again", 3, 1)
}

// TestAFloodFreesNoGuessOnItsWay: an unsettled guess is never evicted, because it would be free.
func TestAFloodFreesNoGuessOnItsWay(t *testing.T) {
	t.Parallel()
	th, _, _ := desk(t, throttle.Limits{})
	slow := guess("bob", "slow", office)
	if d, err := th.Spend(t.Context(), slow); err != nil || d.Verdict != throttle.Granted {
		t.Fatal(d, err)
	}
	for i := range 30_000 {
		wrong(t, th, stranger(i))
	}
	th.Settle(t.Context(), slow, throttle.Wrong)
	e, err := th.Explain(t.Context(), subject("bob", office))
	if err != nil || e.Budgets[0].Left != 9 || e.Budgets[1].Left != 49 {
		t.Errorf("%+v, %v; want one guess spent", e.Budgets, err)
	}
}
