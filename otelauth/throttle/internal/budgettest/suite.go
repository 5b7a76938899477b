// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package budgettest

import (
	"fmt"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// slack is the permitted deviation from the exact time: a store may count in milliseconds, and a
// real clock advances during a test.
const slack = 2 * time.Second

func spend(t *testing.T, s budget.Store, b budget.Bill, want budget.Verdict) budget.Answer {
	t.Helper()
	a, err := s.Spend(t.Context(), b)
	if err != nil {
		t.Fatalf("Spend: %v", err)
	}
	if a.Verdict != want {
		t.Fatalf("Spend returned %d (%v, retry after %v), want %d", a.Verdict, a.Budget, a.RetryAfter, want)
	}
	return a
}

// try spends and settles.
func try(t *testing.T, s budget.Store, b budget.Bill, how budget.Settlement, times int) {
	t.Helper()
	for range times {
		s.Settle(t.Context(), b, spend(t, s, b, budget.Granted).Receipt, how)
	}
}

func look(t *testing.T, s budget.Store, b budget.Bill) budget.View {
	t.Helper()
	v, err := s.Look(t.Context(), b)
	if err != nil {
		t.Fatalf("Look: %v", err)
	}
	return v
}

// left asserts the guesses left in the budgets of a bill, in the order pair, account, network,
// site.
func left(t *testing.T, s budget.Store, b budget.Bill, want ...int) {
	t.Helper()
	v := look(t, s, b)
	for i, n := range want {
		if got := v.Budgets[i].Left; got != n {
			t.Errorf("the %v budget has %d left, want %d", budget.Kind(i), got, n)
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
		a := spend(t, h.Store, b, budget.Granted)
		if a.PairLeft != 4-i || a.Known {
			t.Errorf("guess %d: %d left (known %v), want %d", i, a.PairLeft, a.Known, 4-i)
		}
		h.Store.Settle(t.Context(), b, a.Receipt, budget.Wrong)
	}
	a := spend(t, h.Store, b, budget.Refused)
	if a.Budget != budget.Pair {
		t.Errorf("the %v budget refuses, want the pair's", a.Budget)
	}
	about(t, "RetryAfter", a.RetryAfter, time.Minute)
	left(t, h.Store, b, 0, 5, 7, 15)
	h.Advance(time.Minute + slack)
	try(t, h.Store, b, budget.Wrong, 1)
	spend(t, h.Store, b, budget.Refused)
	h.Advance(10 * time.Minute)
	left(t, h.Store, b, 5, 10, 12, 20)
	try(t, h.Store, b, budget.Wrong, 5)
	spend(t, h.Store, b, budget.Refused)
}

func namesTheBudget(t *testing.T, h Harness) {
	t.Helper()
	for i := range 2 {
		try(t, h.Store, Bill("alice", fmt.Sprint(i), "s"), budget.Wrong, 5)
	}
	b := Bill("alice", "3", "s")
	if a := spend(t, h.Store, b, budget.Refused); a.Budget != budget.Account {
		t.Errorf("the %v budget refuses, want the account's", a.Budget)
	}
	b = Bill("bob", "1", "s")
	try(t, h.Store, b, budget.Wrong, 5)
	b.Charges[budget.Site].Limit = budget.Limit{Burst: 1, Every: 10 * time.Minute}
	h.Advance(30 * time.Second)
	try(t, h.Store, Bill("carol", "4", "s"), budget.Wrong, 5)
	a := spend(t, h.Store, b, budget.Refused)
	if a.Budget != budget.Site || a.RetryAfter < 2*time.Minute {
		t.Errorf("refused by the %v budget for %v, want by the site's, which waits longest", a.Budget, a.RetryAfter)
	}
}

func heldIsNotEmpty(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	var receipts []budget.Receipt
	for range 5 {
		receipts = append(receipts, spend(t, h.Store, b, budget.Granted).Receipt)
	}
	if a := spend(t, h.Store, b, budget.Held); a.Budget != budget.Pair {
		t.Errorf("the %v budget is held, want the pair's", a.Budget)
	}
	if v := look(t, h.Store, b).Budgets[budget.Pair]; v.Held != 5 || v.Left != 5 || v.Wait != 0 {
		t.Errorf("the pair's budget is %+v, want all held and nothing spent", v)
	}
	h.Store.Settle(t.Context(), b, receipts[0], budget.Unjudged)
	receipts[0] = spend(t, h.Store, b, budget.Granted).Receipt
	spend(t, h.Store, b, budget.Held)
	for i, r := range receipts {
		h.Store.Settle(t.Context(), b, r, budget.Wrong)
		want := budget.Held
		if i == len(receipts)-1 {
			want = budget.Refused
		}
		spend(t, h.Store, b, want)
	}
	// The account is not the pair: two guesses from elsewhere hold the rest of it.
	other := Bill("alice", "2", "s")
	for range 5 {
		spend(t, h.Store, other, budget.Granted)
	}
	if a := spend(t, h.Store, Bill("alice", "3", "s"), budget.Held); a.Budget != budget.Account {
		t.Errorf("the %v budget is held, want the account's", a.Budget)
	}
}

func refunds(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	try(t, h.Store, b, budget.Wrong, 3)
	try(t, h.Store, b, budget.Unjudged, 20)
	left(t, h.Store, b, 2, 7, 9, 17)
	try(t, h.Store, b, budget.Right, 1)
	left(t, h.Store, b, 8, 7, 9, 17)
	// A price is given back once, and never beyond a full budget.
	fresh := Bill("bob", "2", "t")
	try(t, h.Store, fresh, budget.Unjudged, 3)
	left(t, h.Store, fresh, 5, 10, 12, 20)
}

func allOrNothing(t *testing.T, h Harness) {
	t.Helper()
	for i := range 4 {
		try(t, h.Store, Bill("alice", fmt.Sprint(i), "s"), budget.Wrong, map[bool]int{true: 5, false: 0}[i < 2])
	}
	b := Bill("alice", "9", "other")
	for range 3 {
		spend(t, h.Store, b, budget.Refused)
	}
	left(t, h.Store, b, 5, 0, 12, 20)
	if v := look(t, h.Store, b); v.Budgets[budget.Pair].Held+v.Budgets[budget.Network].Held+v.Budgets[budget.Site].Held != 0 {
		t.Errorf("a refused guess holds something: %+v", v)
	}
}

func knownPair(t *testing.T, h Harness) {
	t.Helper()
	home := Bill("alice", "home", "s")
	try(t, h.Store, home, budget.Right, 1)
	// A botnet empties the account; an attacker in the same network empties network and site.
	for i := range 2 {
		try(t, h.Store, Bill("alice", fmt.Sprint(i), "far"), budget.Wrong, 5)
	}
	for i := range 3 {
		try(t, h.Store, Bill(fmt.Sprint("victim", i), "home", "s"), budget.Wrong, 4)
	}
	spend(t, h.Store, Bill("alice", "new", "far"), budget.Refused)
	spend(t, h.Store, Bill("bob", "home", "s"), budget.Refused)
	a := spend(t, h.Store, home, budget.Granted)
	if !a.Known || a.PairLeft != 7 {
		t.Errorf("the owner at home: known %v, %d left; want known, 7", a.Known, a.PairLeft)
	}
	h.Store.Settle(t.Context(), home, a.Receipt, budget.Wrong)
	left(t, h.Store, home, 7, 0, 0, 8)
	try(t, h.Store, home, budget.Wrong, 7)
	if a := spend(t, h.Store, home, budget.Refused); a.Budget != budget.Pair || !a.Known {
		t.Errorf("refused by %v (known %v), want by the known pair's own budget", a.Budget, a.Known)
	}
	left(t, h.Store, home, 0, 0, 0, 8)
}

func knownForSoLong(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	try(t, h.Store, b, budget.Right, 1)
	h.Advance(12 * time.Hour)
	if !look(t, h.Store, b).Known {
		t.Error("not known after half of the time")
	}
	try(t, h.Store, b, budget.Right, 1)
	h.Advance(23 * time.Hour)
	if !look(t, h.Store, b).Known {
		t.Error("a second success did not renew the pair")
	}
	h.Advance(time.Hour + 2*time.Minute)
	if look(t, h.Store, b).Known {
		t.Error("still known after Remember")
	}
	if a := spend(t, h.Store, b, budget.Granted); a.Known || a.PairLeft != 4 {
		t.Errorf("known %v, %d left; want a new pair", a.Known, a.PairLeft)
	}
	left(t, h.Store, b, 5, 10, 12, 20)
	if v := look(t, h.Store, b); v.Budgets[budget.Account].Held != 1 {
		t.Errorf("a pair that is no longer known is not charged to its account: %+v", v)
	}
	// A success without a receipt also makes a pair known.
	bob := Bill("bob", "1", "s")
	h.Store.Settle(t.Context(), bob, budget.Receipt{}, budget.Right)
	if !look(t, h.Store, bob).Known {
		t.Error("a Right with the zero Receipt did not make the pair known")
	}
}

func clearsItsPair(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	try(t, h.Store, b, budget.Wrong, 4)
	mallory := Bill("mallory", "1", "s")
	try(t, h.Store, mallory, budget.Right, 3) // an attacker's own account (django-defender)
	left(t, h.Store, b, 1, 6, 8, 16)
	try(t, h.Store, b, budget.Right, 1)
	left(t, h.Store, b, 8, 6, 8, 16)
	// Wrong guesses of a pair that was already known remain charged. Otherwise an attacker in the
	// owner's network would get a fresh budget with each of the owner's logins.
	try(t, h.Store, b, budget.Wrong, 3)
	try(t, h.Store, b, budget.Right, 1)
	left(t, h.Store, b, 5, 6, 8, 16)
}

func knownMeanwhile(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	first, second, third := spend(t, h.Store, b, budget.Granted), spend(t, h.Store, b, budget.Granted), spend(t, h.Store, b, budget.Granted)
	h.Store.Settle(t.Context(), b, first.Receipt, budget.Right)
	h.Store.Settle(t.Context(), b, second.Receipt, budget.Wrong)
	h.Store.Settle(t.Context(), b, third.Receipt, budget.Right)
	left(t, h.Store, b, 7, 9, 11, 19)
	if v := look(t, h.Store, b); v.Budgets[budget.Pair].Held+v.Budgets[budget.Account].Held != 0 {
		t.Errorf("holds are left behind: %+v", v)
	}
}

func checks(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	check := b
	check.Mode = budget.Check
	for range 5 {
		spend(t, h.Store, check, budget.Granted)
	}
	left(t, h.Store, b, 5, 10, 12, 20)
	var receipts []budget.Receipt
	for range 5 {
		receipts = append(receipts, spend(t, h.Store, b, budget.Granted).Receipt)
	}
	if a := spend(t, h.Store, check, budget.Granted); a.Receipt.Held != 0 {
		t.Errorf("a check holds %b", a.Receipt.Held)
	}
	for _, r := range receipts {
		h.Store.Settle(t.Context(), b, r, budget.Wrong)
	}
	spend(t, h.Store, check, budget.Refused)
}

func takes(t *testing.T, h Harness) {
	t.Helper()
	b := budget.Bill{Mode: budget.Take, Remember: time.Hour, Lease: time.Minute}
	b.Charges[budget.Requests] = budget.Charge{Key: Key("requests"), Limit: budget.Limit{Burst: 3, Every: time.Minute}}
	for range 3 {
		if a := spend(t, h.Store, b, budget.Granted); a.Receipt.Held != 0 {
			t.Errorf("a taken guess is held: %b", a.Receipt.Held)
		}
	}
	a := spend(t, h.Store, b, budget.Refused)
	about(t, "RetryAfter", a.RetryAfter, time.Minute)
	if a.Budget != budget.Requests {
		t.Errorf("refused by %v", a.Budget)
	}
	h.Advance(time.Minute + slack)
	spend(t, h.Store, b, budget.Granted)
}

func leases(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	for i := range b.Charges {
		if b.Charges[i].Limit != (budget.Limit{}) {
			b.Charges[i].Limit.Every = time.Hour
		}
	}
	var receipts []budget.Receipt
	for range 5 {
		receipts = append(receipts, spend(t, h.Store, b, budget.Granted).Receipt)
	}
	h.Advance(b.Lease - slack)
	spend(t, h.Store, b, budget.Held)
	h.Advance(b.Lease + 2*slack)
	// Their process has died: they no longer block the budget, and they were charged.
	spend(t, h.Store, b, budget.Refused)
	left(t, h.Store, b, 0, 5, 7, 15)
	// One of them was only slow: it is not charged again.
	h.Store.Settle(t.Context(), b, receipts[0], budget.Wrong)
	left(t, h.Store, b, 0, 5, 7, 15)
	h.Advance(time.Hour)
	left(t, h.Store, b, 1, 6, 8, 16)
}

func lateRefund(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	for i := range b.Charges {
		if b.Charges[i].Limit != (budget.Limit{}) {
			b.Charges[i].Limit.Every = time.Hour
		}
	}
	try(t, h.Store, b, budget.Wrong, 3)
	slow, quick := spend(t, h.Store, b, budget.Granted), spend(t, h.Store, b, budget.Granted)
	h.Advance(2*b.Lease + slack)
	spend(t, h.Store, b, budget.Refused)
	h.Store.Settle(t.Context(), b, slow.Receipt, budget.Unjudged)
	left(t, h.Store, b, 1, 6, 8, 16)
	h.Store.Settle(t.Context(), b, quick.Receipt, budget.Right)
	left(t, h.Store, b, 8, 7, 9, 17)
}

func clears(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	try(t, h.Store, b, budget.Wrong, 5)
	spend(t, h.Store, b, budget.Refused)
	if err := h.Store.Clear(t.Context(), b.Charges[budget.Pair].Key, budget.Pair); err != nil {
		t.Fatal(err)
	}
	left(t, h.Store, b, 5, 5, 7, 15)
	for i := budget.Account; i <= budget.Site; i++ {
		if err := h.Store.Clear(t.Context(), b.Charges[i].Key, i); err != nil {
			t.Fatal(err)
		}
	}
	left(t, h.Store, b, 5, 10, 12, 20)

	try(t, h.Store, b, budget.Right, 1)
	try(t, h.Store, b, budget.Wrong, 8)
	if err := h.Store.Clear(t.Context(), b.Charges[budget.Pair].Key, budget.Pair); err != nil {
		t.Fatal(err)
	}
	if v := look(t, h.Store, b); !v.Known || v.Budgets[budget.Pair].Left != 8 {
		t.Errorf("cleared: %+v, want a full budget of a known pair", v)
	}
	if err := h.Store.Forget(t.Context(), b.Charges[budget.Pair].Key); err != nil {
		t.Fatal(err)
	}
	if v := look(t, h.Store, b); v.Known || v.Budgets[budget.Pair].Left != 5 {
		t.Errorf("forgotten: %+v, want a full budget of a new pair", v)
	}
	// An unused budget can be cleared too.
	if err := h.Store.Clear(t.Context(), Key("unused"), budget.Account); err != nil {
		t.Error(err)
	}
	if err := h.Store.Forget(t.Context(), Key("unused")); err != nil {
		t.Error(err)
	}
}

func looks(t *testing.T, h Harness) {
	t.Helper()
	b := Bill("alice", "1", "s")
	try(t, h.Store, b, budget.Wrong, 5)
	before := look(t, h.Store, b)
	about(t, "Wait", before.Budgets[budget.Pair].Wait, time.Minute)
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
	try(t, h.Store, b, budget.Wrong, 5)
	known := Bill("bob", "1", "s")
	try(t, h.Store, known, budget.Right, 1)
	for _, d := range []time.Duration{time.Hour, -2 * time.Hour, time.Hour} {
		h.JumpWall(d)
		about(t, fmt.Sprintf("RetryAfter after a jump of %v", d), spend(t, h.Store, b, budget.Refused).RetryAfter, time.Minute)
		left(t, h.Store, b, 0, 5, 7, 15)
		if !look(t, h.Store, known).Known {
			t.Errorf("a jump of %v made a known pair unknown", d)
		}
	}
}

func extremes(t *testing.T, h Harness) {
	t.Helper()
	for i, l := range []budget.Limit{
		{Burst: 1, Every: budget.MinEvery},
		{Burst: 1, Every: budget.MaxSpan},
		{Burst: budget.MaxBurst, Every: budget.MinEvery},
		{Burst: budget.MaxBurst, Every: budget.MaxSpan / budget.MaxBurst},
	} {
		b := budget.Bill{Remember: budget.MaxSpan, Lease: time.Second, KnownPair: l}
		b.Charges[budget.Pair] = budget.Charge{Key: Key(fmt.Sprint("extreme", i)), Limit: l}
		a := spend(t, h.Store, b, budget.Granted)
		h.Store.Settle(t.Context(), b, a.Receipt, budget.Wrong)
		if got := look(t, h.Store, b).Budgets[budget.Pair].Left; got > l.Burst || got < l.Burst-1 {
			t.Errorf("%v: %d left after one guess", l, got)
		}
		try(t, h.Store, b, budget.Unjudged, min(1, l.Burst-1))
		if l.Every == budget.MaxSpan {
			about(t, fmt.Sprint(l), spend(t, h.Store, b, budget.Refused).RetryAfter, budget.MaxSpan)
		}
	}
}

func counts(t *testing.T, h Harness) {
	t.Helper()
	if n := h.Store.Len(); n < 0 {
		t.Errorf("an empty store holds %d budgets", n)
	}
	for i := range 50 {
		try(t, h.Store, Bill(fmt.Sprint("account", i), fmt.Sprint(i), fmt.Sprint(i)), budget.Wrong, 1)
	}
	if n := h.Store.Len(); n < 0 {
		t.Errorf("%d budgets", n)
	}
}
