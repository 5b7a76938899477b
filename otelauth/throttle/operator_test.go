// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

var act = throttle.Act{By: "carol@ops", Why: "ticket 7"}

func subject(account, network string) throttle.Subject {
	s := throttle.Subject{Account: account}
	if network != "" {
		s.Network = netip.MustParsePrefix(network)
	}
	return s
}

// desk returns budgets with a clock and the notices of an operator's acts.
func desk(t *testing.T, budgets throttle.Limits) (*throttle.Budgets, *clock, *notices) {
	t.Helper()
	c, recorded := newClock(), &notices{}
	m := newMemory(t, throttle.MemoryConfig{Bytes: 1 << 20, Elapsed: c.Elapsed, Now: c.Now})
	return newGuesses(t, throttle.Config{
		Store: m, Limits: budgets, Elapsed: c.Elapsed, Now: c.Now, Notice: recorded.Notice, Identify: func(n string) string { return "h:" + n },
	}), c, recorded
}

func TestListAndExplain(t *testing.T) {
	t.Parallel()
	th, c, _ := desk(t, throttle.Limits{})
	for i := range 15 {
		wrong(t, th, guess("alice", fmt.Sprint(i), office))
	}
	for i := range 400 {
		wrong(t, th, guess(fmt.Sprint("user", i), "spray", home))
	}
	list := th.List()
	if len(list) != 2 {
		t.Fatalf("listed %+v, want two cases", list)
	}
	now := c.Now()
	if l := list[0]; l.Budget != budget.Network || l.Network.String() != home || l.Account != "" || l.Refused != 100 || !l.Until.Equal(now.Add(time.Second)) {
		t.Errorf("first: %+v", l)
	}
	if l := list[1]; l.Budget != budget.Pair || l.Network.String() != office || l.Account != "h:alice" || l.Refused != 5 || !l.Until.Equal(now.Add(time.Minute)) {
		t.Errorf("second: %+v", l)
	}

	for _, e := range []struct {
		s    throttle.Subject
		want string
	}{
		{subject("", home), "refused by the network budget (300, then 1 each 1s) until 2026-01-01T00:00:01Z"},
		{subject("alice", office), "refused by the pair budget (10, then 1 each 1m0s) until 2026-01-01T00:01:00Z"},
		{subject("alice", ""), "not refused"},
		{subject("", office), "not refused"},
		{subject("", "192.0.2.0/24"), "not refused"},
		{subject("alice", home), "refused by the network budget (300, then 1 each 1s) until 2026-01-01T00:00:01Z"},
	} {
		got, err := th.Explain(t.Context(), e.s)
		if err != nil || got.String() != e.want {
			t.Errorf("%v: %q, %v; want %q", e.s, got, err, e.want)
		}
	}
	site, _ := th.Explain(t.Context(), subject("", "192.0.2.0/24"))
	if len(site.Budgets) != 1 || site.Budgets[0].Budget != budget.Site || site.Budgets[0].Left != 900 {
		t.Errorf("the site: %+v", site.Budgets)
	}
	if e, _ := th.Explain(t.Context(), subject("dora", "203.0.113.1/32")); len(e.Budgets) != 4 || !e.Budgets[0].Full || !e.Budgets[3].Full {
		t.Errorf("nothing spent: %+v", e)
	}
	settle(t, th, guess("dora", "right", "203.0.113.1/32"), throttle.Right)
	if e, _ := th.Explain(t.Context(), subject("dora", "203.0.113.1/32")); len(e.Budgets) != 4 || !e.Budgets[0].Full || e.Reserve.Left != 90 || e.String() != "not refused; the pair is known" {
		t.Errorf("known: %+v", e)
	}
	for i := range 10 {
		wrong(t, th, guess("dora", fmt.Sprint(i), "203.0.113.1/32"))
	}
	if e, _ := th.Explain(t.Context(), subject("dora", "203.0.113.1/32")); e.String() != "refused by the pair budget (10, then 1 each 1m0s) until 2026-01-01T00:01:00Z; the pair is known, its right password passes" {
		t.Errorf("known and beyond its budget: %v", e)
	}
	c.Advance(time.Hour)
	if l := th.List(); len(l) != 0 {
		t.Errorf("an hour later: %+v", l)
	}
}

func TestClear(t *testing.T) {
	t.Parallel()
	th, _, recorded := desk(t, throttle.Limits{})
	for i := range 12 {
		wrong(t, th, guess("alice", fmt.Sprint(i), office))
	}
	left := func(s throttle.Subject, want ...int) {
		t.Helper()
		e, err := th.Explain(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range want {
			if e.Budgets[i].Left != n {
				t.Errorf("the %v budget of %v has %d left, want %d", e.Budgets[i].Budget, s, e.Budgets[i].Left, n)
			}
		}
	}
	pair := subject("alice", office)
	left(pair, 0, 40, 290, 1190)
	for _, s := range []struct {
		throttle.Subject
		want []int
	}{
		{pair, []int{10, 40, 290, 1190}},
		{subject("alice", ""), []int{10, 50, 290, 1190}},
		{subject("", office), []int{10, 50, 300, 1190}},
		{subject("", "198.51.100.0/24"), []int{10, 50, 300, 1200}},
	} {
		if err := th.Clear(t.Context(), s.Subject, act); err != nil {
			t.Fatal(err)
		}
		left(pair, s.want...)
	}
	if l := th.List(); len(l) != 0 {
		t.Errorf("listed after it was cleared: %+v", l)
	}
	n := recorded.all()
	if len(n) != 4 {
		t.Fatalf("recorded %d times", len(n))
	}
	if n[0].Kind != attempt.ThrottleChanged || n[0].Actor != "carol@ops" || n[0].Why != "ticket 7" || n[0].UserHash != "h:alice" ||
		n[0].Network.String() != office || n[0].Message != "throttle: account h:alice from network 198.51.100.4/32 is cleared" {
		t.Errorf("recorded %+v", n[0])
	}
	// The cache too refuses a known pair whose reserve is empty, until the reserve is cleared.
	owner := guess("bob", "right", home)
	settle(t, th, owner, throttle.Right)
	for i := range 100 {
		wrong(t, th, guess("bob", fmt.Sprint(i), home))
	}
	if !th.Exhausted(owner) {
		t.Error("not exhausted after 100 wrong guesses")
	}
	if err := th.Clear(t.Context(), subject("bob", home), act); err != nil {
		t.Fatal(err)
	}
	if th.Exhausted(owner) {
		t.Error("exhausted after it was cleared")
	}
}

func TestAllowAndDeny(t *testing.T) {
	t.Parallel()
	th, c, recorded := desk(t, throttle.Limits{})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	for i := range 12 {
		wrong(t, th, guess("alice", fmt.Sprint(i), office))
	}
	must(th.Allow(ctx, subject("", "198.51.100.77/24"), throttle.Act{By: "carol", Why: "penetration test", For: time.Hour}))
	for i := range 400 {
		if v := wrong(t, th, guess("alice", fmt.Sprint("tool", i), office)); v != throttle.Granted {
			t.Fatalf("guess %d of an allowed network: %v", i, v)
		}
	}
	if e, _ := th.Explain(ctx, subject("alice", office)); e.Budgets[1].Left != 40 || e.String() != "allowed by carol until 2026-01-01T01:00:00Z: penetration test" {
		t.Errorf("allowed: %v, %+v", e, e.Budgets)
	}
	c.Advance(time.Hour)
	if len(th.Rules()) != 0 {
		t.Error("a rule outlived its time")
	}

	owner := guess("bob", "right", home)
	settle(t, th, owner, throttle.Right)
	for _, s := range []throttle.Subject{subject("bob", ""), subject("", home), subject("bob", "192.0.2.0/24"), subject("", "0.0.0.0/0")} {
		must(th.Deny(ctx, s, throttle.Act{By: "carol", Why: "stolen", For: time.Minute}))
		if !th.Exhausted(owner) {
			t.Errorf("%v: a recognised credential passes", s)
		}
		if d, err := th.Spend(ctx, owner); err != nil || d.Verdict != throttle.Refused || d.RetryAfter != time.Minute {
			t.Errorf("%v: %+v, %v", s, d, err)
		}
		must(th.Revoke(ctx, s, act))
		if th.Exhausted(owner) {
			t.Errorf("%v: refused after it was revoked", s)
		}
	}

	// A longer network precedes a shorter one, a pair precedes either, and otherwise a denial
	// precedes an allowance.
	must(th.Deny(ctx, subject("", "192.0.2.0/24"), act))
	must(th.Allow(ctx, subject("", home), act))
	if th.Exhausted(owner) {
		t.Error("a shorter network went before a longer one")
	}
	must(th.Deny(ctx, subject("bob", ""), act))
	if !th.Exhausted(owner) {
		t.Error("an allowed network went before a denied account")
	}
	must(th.Allow(ctx, subject("bob", home), act))
	if th.Exhausted(owner) {
		t.Error("an account went before a pair")
	}
	if th.Exhausted(guess("bob", "right", "2001:db8::/64")) != true || th.Exhausted(guess("alice", "x", "2001:db8::/64")) {
		t.Error("a rule hit a stranger")
	}
	if rules := th.Rules(); len(rules) != 4 || rules[0].By != "carol@ops" {
		t.Errorf("rules %+v", rules)
	}
	if n := recorded.all(); len(n) != 13 || n[0].Message != "throttle: network 198.51.100.0/24 is allowed until 2026-01-01T01:00:00Z" {
		t.Errorf("recorded %d times, first %+v", len(n), n[0])
	}
}

func TestActsThatAreRefused(t *testing.T) {
	t.Parallel()
	th, _, recorded := desk(t, throttle.Limits{})
	ctx := t.Context()
	for _, c := range []struct {
		err  error
		want error
	}{
		{th.Deny(ctx, throttle.Subject{}, act), throttle.ErrSubject},
		{th.Deny(ctx, subject("alice", ""), throttle.Act{Why: "x"}), throttle.ErrAct},
		{th.Allow(ctx, subject("alice", ""), throttle.Act{By: "x", Why: " "}), throttle.ErrAct},
		{th.Allow(ctx, subject("alice", ""), throttle.Act{By: "x", Why: "y", For: -1}), throttle.ErrAct},
		{th.Allow(ctx, subject("", "::ffff:10.0.0.0/90"), act), throttle.ErrSubject},
		{th.Clear(ctx, throttle.Subject{}, throttle.Act{}), throttle.ErrAct},
		{th.Clear(ctx, subject("", "10.0.0.0/8"), act), throttle.ErrSubject},
		{th.Clear(ctx, subject("alice", "10.0.0.0/24"), act), throttle.ErrSubject},
		{th.Revoke(ctx, throttle.Subject{}, act), throttle.ErrSubject},
	} {
		if !errors.Is(c.err, c.want) || !strings.HasPrefix(c.err.Error(), "throttle: ") {
			t.Errorf("%v, want %v", c.err, c.want)
		}
	}
	if _, err := th.Explain(ctx, throttle.Subject{}); !errors.Is(err, throttle.ErrSubject) {
		t.Error(err)
	}
	if n := recorded.all(); len(n) != 0 {
		t.Errorf("recorded acts that did not happen: %v", n)
	}
}

func TestCasesAreBounded(t *testing.T) {
	t.Parallel()
	one := throttle.Limit{Burst: 1, Every: time.Hour}
	th, c, _ := desk(t, throttle.Limits{NewPair: one})
	for i := range 2 * throttle.MaxCases {
		name := fmt.Sprint("user", i)
		wrong(t, th, guess(name, "a", host(i%60000)))
		wrong(t, th, guess(name, "b", host(i%60000)))
		if i == 0 {
			for j := range 50 {
				wrong(t, th, guess(name, fmt.Sprint(j), host(0)))
			}
		}
	}
	l := th.List()
	if len(l) > throttle.MaxCases {
		t.Errorf("%d cases", len(l))
	}
	if l[0].Refused != 51 {
		t.Errorf("the largest case made room: %+v", l[0])
	}
	c.Advance(2 * time.Hour)
	if n := len(th.List()); n != 0 {
		t.Errorf("%d cases that are over", n)
	}
}

// TestChargeTakesBackAClear charges each budget that Clear has filled, and no other.
func TestChargeTakesBackAClear(t *testing.T) {
	t.Parallel()
	th, c, recorded := desk(t, throttle.Limits{})
	for i := range 12 {
		wrong(t, th, guess("alice", fmt.Sprint(i), office))
	}
	for _, s := range []throttle.Subject{subject("alice", office), subject("alice", ""), subject("", office), subject("", "198.51.100.0/24")} {
		state := func() throttle.Standing {
			t.Helper()
			e, err := th.Explain(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			return e.Budgets[0]
		}
		before := state()
		if err := th.Clear(t.Context(), s, act); err != nil {
			t.Fatal(err)
		}
		if err := th.Charge(t.Context(), s, before.Limit.Burst-before.Left, act); err != nil {
			t.Fatal(err)
		}
		if after := state(); after.Left != before.Left || after.Wait != before.Wait {
			t.Errorf("%v: %+v after Clear and Charge, want %+v", s, after, before)
		}
	}
	if n := recorded.all(); n[1].Message != "throttle: account h:alice from network 198.51.100.4/32 is charged again" {
		t.Errorf("recorded %+v", n[1])
	}
	// More guesses than the budget holds only empty it.
	if err := th.Charge(t.Context(), subject("bob", home), 1<<40, act); err != nil {
		t.Fatal(err)
	}
	if e, _ := th.Explain(t.Context(), subject("bob", home)); e.Budgets[0].Left != 0 || e.Budgets[1].Left != 50 || !e.Until.Equal(c.Now().Add(time.Minute)) {
		t.Errorf("%+v", e)
	}
	if err := th.Charge(t.Context(), throttle.Subject{}, 1, act); !errors.Is(err, throttle.ErrSubject) {
		t.Errorf("without a subject: %v", err)
	}
}
