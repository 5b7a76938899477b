// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttletest

import (
	"fmt"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// slack is how far a store may be from the exact time: it may count in milliseconds, and time passes in a real one.
const slack = 2 * time.Second

func spend(t *testing.T, s throttle.Store, b throttle.Bill, want throttle.Verdict) throttle.Answer {
	t.Helper()
	a, err := s.Spend(t.Context(), b)
	if err != nil {
		t.Fatalf("Spend: %v", err)
	}
	if a.Verdict != want {
		t.Fatalf("Spend says %d (%v, retry after %v), want %d", a.Verdict, a.Budget, a.RetryAfter, want)
	}
	return a
}

// try spends and settles.
func try(t *testing.T, s throttle.Store, b throttle.Bill, how throttle.Settlement, times int) {
	t.Helper()
	for range times {
		s.Settle(t.Context(), b, spend(t, s, b, throttle.Granted).Receipt, how)
	}
}

func look(t *testing.T, s throttle.Store, b throttle.Bill) throttle.View {
	t.Helper()
	v, err := s.Look(t.Context(), b)
	if err != nil {
		t.Fatalf("Look: %v", err)
	}
	return v
}

// left asserts what the budgets of a bill have left, in the order pair, account, network, site.
func left(t *testing.T, s throttle.Store, b throttle.Bill, want ...int) {
	t.Helper()
	v := look(t, s, b)
	for i, n := range want {
		if got := v.Budgets[i].Left; got != n {
			t.Errorf("the %v budget has %d left, want %d", throttle.Budget(i), got, n)
		}
	}
}

func about(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got > want+slack || got < want-slack {
		t.Errorf("%s: %v, want about %v", what, got, want)
	}
}

func wrongGuesses(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	for i := range 5 {
		a := spend(t, h.Store, b, throttle.Granted)
		if a.PairLeft != 4-i || a.Known {
			t.Errorf("guess %d: %d left (known %v), want %d", i, a.PairLeft, a.Known, 4-i)
		}
		h.Store.Settle(t.Context(), b, a.Receipt, throttle.Wrong)
	}
	a := spend(t, h.Store, b, throttle.Refused)
	if a.Budget != throttle.Pair {
		t.Errorf("the %v budget refuses, want the pair's", a.Budget)
	}
	about(t, "RetryAfter", a.RetryAfter, time.Minute)
	left(t, h.Store, b, 0, 5, 7, 15)
	h.Advance(time.Minute + slack)
	try(t, h.Store, b, throttle.Wrong, 1)
	spend(t, h.Store, b, throttle.Refused)
	h.Advance(10 * time.Minute)
	left(t, h.Store, b, 5, 10, 12, 20)
	try(t, h.Store, b, throttle.Wrong, 5)
	spend(t, h.Store, b, throttle.Refused)
}

func namesTheBudget(t *testing.T, h Harness) {
	t.Helper()
	for i := range 2 {
		try(t, h.Store, Bill("alice", fmt.Sprint(i), "s"), throttle.Wrong, 5)
	}
	b := Bill("alice", "3", "s")
	if a := spend(t, h.Store, b, throttle.Refused); a.Budget != throttle.Account {
		t.Errorf("the %v budget refuses, want the account's", a.Budget)
	}
	b = Bill("bob", "1", "s")
	try(t, h.Store, b, throttle.Wrong, 5)
	b.Charges[throttle.Site].Limit = throttle.Limit{Burst: 1, Every: 10 * time.Minute}
	h.Advance(30 * time.Second)
	try(t, h.Store, Bill("carol", "4", "s"), throttle.Wrong, 5)
	a := spend(t, h.Store, b, throttle.Refused)
	if a.Budget != throttle.Site || a.RetryAfter < 2*time.Minute {
		t.Errorf("refused by the %v budget for %v, want by the site's, which waits longest", a.Budget, a.RetryAfter)
	}
}

func heldIsNotEmpty(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	var receipts []throttle.Receipt
	for range 5 {
		receipts = append(receipts, spend(t, h.Store, b, throttle.Granted).Receipt)
	}
	if a := spend(t, h.Store, b, throttle.Held); a.Budget != throttle.Pair {
		t.Errorf("the %v budget is held, want the pair's", a.Budget)
	}
	if v := look(t, h.Store, b).Budgets[throttle.Pair]; v.Held != 5 || v.Left != 5 || v.Wait != 0 {
		t.Errorf("the pair's budget is %+v, want all held and nothing spent", v)
	}
	h.Store.Settle(t.Context(), b, receipts[0], throttle.Unjudged)
	receipts[0] = spend(t, h.Store, b, throttle.Granted).Receipt
	spend(t, h.Store, b, throttle.Held)
	for i, r := range receipts {
		h.Store.Settle(t.Context(), b, r, throttle.Wrong)
		want := throttle.Held
		if i == len(receipts)-1 {
			want = throttle.Refused
		}
		spend(t, h.Store, b, want)
	}
	// The account is not the pair: two others hold the rest of it.
	other := Bill("alice", "2", "s")
	for range 5 {
		spend(t, h.Store, other, throttle.Granted)
	}
	if a := spend(t, h.Store, Bill("alice", "3", "s"), throttle.Held); a.Budget != throttle.Account {
		t.Errorf("the %v budget is held, want the account's", a.Budget)
	}
}

func refunds(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	try(t, h.Store, b, throttle.Wrong, 3)
	try(t, h.Store, b, throttle.Unjudged, 20)
	left(t, h.Store, b, 2, 7, 9, 17)
	try(t, h.Store, b, throttle.Right, 1)
	left(t, h.Store, b, 8, 7, 9, 17)
	// A price is given back once, and never more than the budget holds.
	fresh := Bill("bob", "2", "t")
	try(t, h.Store, fresh, throttle.Unjudged, 3)
	left(t, h.Store, fresh, 5, 10, 12, 20)
}

func allOrNothing(t *testing.T, h Harness) {
	t.Helper()
	for i := range 4 {
		try(t, h.Store, Bill("alice", fmt.Sprint(i), "s"), throttle.Wrong, map[bool]int{true: 5, false: 0}[i < 2])
	}
	b := Bill("alice", "9", "other")
	for range 3 {
		spend(t, h.Store, b, throttle.Refused)
	}
	left(t, h.Store, b, 5, 0, 12, 20)
	if v := look(t, h.Store, b); v.Budgets[throttle.Pair].Held+v.Budgets[throttle.Network].Held+v.Budgets[throttle.Site].Held != 0 {
		t.Errorf("a refused guess holds something: %+v", v)
	}
}

func knownPair(t *testing.T, h Harness) {
	t.Helper()
	home := Bill("alice", "home", "s")
	try(t, h.Store, home, throttle.Right, 1)
	// A botnet empties the account, a bad neighbour the network and the site.
	for i := range 2 {
		try(t, h.Store, Bill("alice", fmt.Sprint(i), "far"), throttle.Wrong, 5)
	}
	for i := range 3 {
		try(t, h.Store, Bill(fmt.Sprint("victim", i), "home", "s"), throttle.Wrong, 4)
	}
	spend(t, h.Store, Bill("alice", "new", "far"), throttle.Refused)
	spend(t, h.Store, Bill("bob", "home", "s"), throttle.Refused)
	a := spend(t, h.Store, home, throttle.Granted)
	if !a.Known || a.PairLeft != 7 {
		t.Errorf("the owner at home: known %v, %d left; want known, 7", a.Known, a.PairLeft)
	}
	h.Store.Settle(t.Context(), home, a.Receipt, throttle.Wrong)
	left(t, h.Store, home, 7, 0, 0, 8)
	try(t, h.Store, home, throttle.Wrong, 7)
	if a := spend(t, h.Store, home, throttle.Refused); a.Budget != throttle.Pair || !a.Known {
		t.Errorf("refused by %v (known %v), want by the known pair's own budget", a.Budget, a.Known)
	}
	left(t, h.Store, home, 0, 0, 0, 8)
}

func knownForSoLong(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	try(t, h.Store, b, throttle.Right, 1)
	h.Advance(12 * time.Hour)
	if !look(t, h.Store, b).Known {
		t.Error("not known after half of the time")
	}
	try(t, h.Store, b, throttle.Right, 1)
	h.Advance(23 * time.Hour)
	if !look(t, h.Store, b).Known {
		t.Error("a second success was not remembered anew")
	}
	h.Advance(time.Hour + 2*time.Minute)
	if look(t, h.Store, b).Known {
		t.Error("known for ever")
	}
	if a := spend(t, h.Store, b, throttle.Granted); a.Known || a.PairLeft != 4 {
		t.Errorf("known %v, %d left; want a new pair", a.Known, a.PairLeft)
	}
	left(t, h.Store, b, 5, 10, 12, 20)
	if v := look(t, h.Store, b); v.Budgets[throttle.Account].Held != 1 {
		t.Errorf("a pair that is not known any longer costs its account nothing: %+v", v)
	}
	// A success without a price makes known too.
	bob := Bill("bob", "1", "s")
	h.Store.Settle(t.Context(), bob, throttle.Receipt{}, throttle.Right)
	if !look(t, h.Store, bob).Known {
		t.Error("a Right with the zero Receipt makes nobody known")
	}
}

func clearsItsPair(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	try(t, h.Store, b, throttle.Wrong, 4)
	mallory := Bill("mallory", "1", "s")
	try(t, h.Store, mallory, throttle.Right, 3) // an attacker's own account (django-defender)
	left(t, h.Store, b, 1, 6, 8, 16)
	try(t, h.Store, b, throttle.Right, 1)
	left(t, h.Store, b, 8, 6, 8, 16)
	// Of a pair that was known already, wrong guesses stay: whoever shares the owner's network would get a fresh budget each time.
	try(t, h.Store, b, throttle.Wrong, 3)
	try(t, h.Store, b, throttle.Right, 1)
	left(t, h.Store, b, 5, 6, 8, 16)
}

func knownMeanwhile(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	first, second, third := spend(t, h.Store, b, throttle.Granted), spend(t, h.Store, b, throttle.Granted), spend(t, h.Store, b, throttle.Granted)
	h.Store.Settle(t.Context(), b, first.Receipt, throttle.Right)
	h.Store.Settle(t.Context(), b, second.Receipt, throttle.Wrong)
	h.Store.Settle(t.Context(), b, third.Receipt, throttle.Right)
	left(t, h.Store, b, 7, 9, 11, 19)
	if v := look(t, h.Store, b); v.Budgets[throttle.Pair].Held+v.Budgets[throttle.Account].Held != 0 {
		t.Errorf("holds are left behind: %+v", v)
	}
}

func checks(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	check := b
	check.Mode = throttle.Check
	for range 5 {
		spend(t, h.Store, check, throttle.Granted)
	}
	left(t, h.Store, b, 5, 10, 12, 20)
	var receipts []throttle.Receipt
	for range 5 {
		receipts = append(receipts, spend(t, h.Store, b, throttle.Granted).Receipt)
	}
	if a := spend(t, h.Store, check, throttle.Granted); a.Receipt.Held != 0 {
		t.Errorf("a check holds %b", a.Receipt.Held)
	}
	for _, r := range receipts {
		h.Store.Settle(t.Context(), b, r, throttle.Wrong)
	}
	spend(t, h.Store, check, throttle.Refused)
}

func takes(t *testing.T, h Harness) {
	t.Helper()
	b := throttle.Bill{Mode: throttle.Take, Remember: time.Hour, Lease: time.Minute}
	b.Charges[throttle.Requests] = throttle.Charge{Key: Key("requests"), Limit: throttle.Limit{Burst: 3, Every: time.Minute}}
	for range 3 {
		if a := spend(t, h.Store, b, throttle.Granted); a.Receipt.Held != 0 {
			t.Errorf("a taken guess is held: %b", a.Receipt.Held)
		}
	}
	a := spend(t, h.Store, b, throttle.Refused)
	about(t, "RetryAfter", a.RetryAfter, time.Minute)
	if a.Budget != throttle.Requests {
		t.Errorf("refused by %v", a.Budget)
	}
	h.Advance(time.Minute + slack)
	spend(t, h.Store, b, throttle.Granted)
}

func leases(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	for i := range b.Charges {
		if b.Charges[i].Limit != (throttle.Limit{}) {
			b.Charges[i].Limit.Every = time.Hour
		}
	}
	var receipts []throttle.Receipt
	for range 5 {
		receipts = append(receipts, spend(t, h.Store, b, throttle.Granted).Receipt)
	}
	h.Advance(b.Lease - slack)
	spend(t, h.Store, b, throttle.Held)
	h.Advance(b.Lease + 2*slack)
	// Their process has died: they block nobody any longer, and were not free.
	spend(t, h.Store, b, throttle.Refused)
	left(t, h.Store, b, 0, 5, 7, 15)
	// One of them had only been slow: it is not charged again.
	h.Store.Settle(t.Context(), b, receipts[0], throttle.Wrong)
	left(t, h.Store, b, 0, 5, 7, 15)
	h.Advance(time.Hour)
	left(t, h.Store, b, 1, 6, 8, 16)
}

func lateRefund(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	for i := range b.Charges {
		if b.Charges[i].Limit != (throttle.Limit{}) {
			b.Charges[i].Limit.Every = time.Hour
		}
	}
	try(t, h.Store, b, throttle.Wrong, 3)
	slow, quick := spend(t, h.Store, b, throttle.Granted), spend(t, h.Store, b, throttle.Granted)
	h.Advance(2*b.Lease + slack)
	spend(t, h.Store, b, throttle.Refused)
	h.Store.Settle(t.Context(), b, slow.Receipt, throttle.Unjudged)
	left(t, h.Store, b, 1, 6, 8, 16)
	h.Store.Settle(t.Context(), b, quick.Receipt, throttle.Right)
	left(t, h.Store, b, 8, 7, 9, 17)
}

func clears(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	try(t, h.Store, b, throttle.Wrong, 5)
	spend(t, h.Store, b, throttle.Refused)
	if err := h.Store.Clear(t.Context(), b.Charges[throttle.Pair].Key, throttle.Pair); err != nil {
		t.Fatal(err)
	}
	left(t, h.Store, b, 5, 5, 7, 15)
	for i := throttle.Account; i <= throttle.Site; i++ {
		if err := h.Store.Clear(t.Context(), b.Charges[i].Key, i); err != nil {
			t.Fatal(err)
		}
	}
	left(t, h.Store, b, 5, 10, 12, 20)

	try(t, h.Store, b, throttle.Right, 1)
	try(t, h.Store, b, throttle.Wrong, 8)
	if err := h.Store.Clear(t.Context(), b.Charges[throttle.Pair].Key, throttle.Pair); err != nil {
		t.Fatal(err)
	}
	if v := look(t, h.Store, b); !v.Known || v.Budgets[throttle.Pair].Left != 8 {
		t.Errorf("cleared: %+v, want a full budget of a known pair", v)
	}
	if err := h.Store.Forget(t.Context(), b.Charges[throttle.Pair].Key); err != nil {
		t.Fatal(err)
	}
	if v := look(t, h.Store, b); v.Known || v.Budgets[throttle.Pair].Left != 5 {
		t.Errorf("forgotten: %+v, want a full budget of a new pair", v)
	}
	// What nobody ever spent can be cleared too.
	if err := h.Store.Clear(t.Context(), Key("nobody"), throttle.Account); err != nil {
		t.Error(err)
	}
	if err := h.Store.Forget(t.Context(), Key("nobody")); err != nil {
		t.Error(err)
	}
}

func looks(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	try(t, h.Store, b, throttle.Wrong, 5)
	before := look(t, h.Store, b)
	about(t, "Wait", before.Budgets[throttle.Pair].Wait, time.Minute)
	for range 50 {
		look(t, h.Store, b)
	}
	left(t, h.Store, b, 0, 5, 7, 15)
}

func jumps(t *testing.T, h Harness) {
	t.Helper()
	if h.JumpWall == nil {
		h.JumpWall = func(time.Duration) {}
	}
	b := Bill("alice", "1", "s")
	try(t, h.Store, b, throttle.Wrong, 5)
	known := Bill("bob", "1", "s")
	try(t, h.Store, known, throttle.Right, 1)
	for _, d := range []time.Duration{time.Hour, -2 * time.Hour, time.Hour} {
		h.JumpWall(d)
		about(t, fmt.Sprintf("RetryAfter after a jump of %v", d), spend(t, h.Store, b, throttle.Refused).RetryAfter, time.Minute)
		left(t, h.Store, b, 0, 5, 7, 15)
		if !look(t, h.Store, known).Known {
			t.Errorf("a jump of %v made the owner a stranger", d)
		}
	}
}

func extremes(t *testing.T, h Harness) {
	t.Helper()
	for i, l := range []throttle.Limit{
		{Burst: 1, Every: throttle.MinEvery},
		{Burst: 1, Every: throttle.MaxSpan},
		{Burst: throttle.MaxBurst, Every: throttle.MinEvery},
		{Burst: throttle.MaxBurst, Every: throttle.MaxSpan / throttle.MaxBurst},
	} {
		b := throttle.Bill{Remember: throttle.MaxSpan, Lease: time.Second, KnownPair: l}
		b.Charges[throttle.Pair] = throttle.Charge{Key: Key(fmt.Sprint("extreme", i)), Limit: l}
		a := spend(t, h.Store, b, throttle.Granted)
		h.Store.Settle(t.Context(), b, a.Receipt, throttle.Wrong)
		if got := look(t, h.Store, b).Budgets[throttle.Pair].Left; got > l.Burst || got < l.Burst-1 {
			t.Errorf("%v: %d left after one guess", l, got)
		}
		try(t, h.Store, b, throttle.Unjudged, min(1, l.Burst-1))
		if l.Every == throttle.MaxSpan {
			about(t, l.String(), spend(t, h.Store, b, throttle.Refused).RetryAfter, throttle.MaxSpan)
		}
	}
}

func counts(t *testing.T, h Harness) {
	t.Helper()
	if n := h.Store.Len(); n < 0 {
		t.Errorf("an empty store holds %d budgets", n)
	}
	for i := range 50 {
		try(t, h.Store, Bill(fmt.Sprint("account", i), fmt.Sprint(i), fmt.Sprint(i)), throttle.Wrong, 1)
	}
	if n := h.Store.Len(); n < 0 {
		t.Errorf("%d budgets", n)
	}
}
