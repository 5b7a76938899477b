// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// Act describes who changes a throttle, why, and for how long. By and Why are required. Both
// appear in the event auth.throttle.changed of the act, cut to 256 bytes.
type Act struct {
	By, Why string
	// For is how long a rule lasts; 0 means until it is revoked or the process ends. It must not
	// be negative. [Budgets.Clear] ignores it.
	For time.Duration
}

const maxActBytes = 256

// Errors of an act. Callers distinguish them from errors of a Store with errors.Is.
var (
	ErrSubject = errors.New("throttle: set the Account or the Network of the Subject, or both")
	ErrAct     = errors.New("throttle: set Act.By and Act.Why, and Act.For to 0 or more")
	ErrRules   = fmt.Errorf("throttle: %d rules are in force; revoke some and try again", maxRules)
)

// check returns the subject in the form in which rules are kept.
func (s Subject) check() (Subject, error) {
	if s == (Subject{}) {
		return s, ErrSubject
	}
	if s.Network == (netip.Prefix{}) {
		return s, nil
	}
	if !s.Network.IsValid() {
		return s, ErrSubject
	}
	bits, addr := s.Network.Bits(), s.Network.Addr()
	if addr.Is4In6() {
		if bits < 96 {
			return s, fmt.Errorf("%w: %v contains more than all IPv4 addresses", ErrSubject, s.Network)
		}
		bits -= 96
	}
	s.Network = netip.PrefixFrom(addr.Unmap().WithZone(""), bits).Masked()
	return s, nil
}

func (a Act) check() error {
	if strings.TrimSpace(a.By) == "" || strings.TrimSpace(a.Why) == "" || a.For < 0 {
		return ErrAct
	}
	return nil
}

// Deny refuses all guesses of a subject, right or wrong, even those that a cache would recognise.
// It replaces a rule about the same subject. It applies at once in this process, and with a shared
// Store within a second in all others; while the Store does not answer, see [Budgets.Sharing].
func (t *Budgets) Deny(ctx context.Context, s Subject, a Act) error {
	return t.rule(ctx, s, a, true)
}

// Allow lets a subject guess without charge or limit, for example a network that runs tests. It
// replaces a rule about the same subject and applies where a rule of [Budgets.Deny] does.
func (t *Budgets) Allow(ctx context.Context, s Subject, a Act) error {
	return t.rule(ctx, s, a, false)
}

func (t *Budgets) rule(ctx context.Context, s Subject, a Act, denied bool) error {
	s, err := s.check()
	if err = errors.Join(err, a.check()); err != nil {
		return err
	}
	s.Account = strings.Clone(s.Account)
	now := t.cfg.Now()
	r := Rule{
		Subject: s, Denied: denied, Since: now,
		By: attempt.Text(a.By, maxActBytes), Why: attempt.Text(a.Why, maxActBytes),
	}
	elapsed := t.cfg.Elapsed()
	if a.For > 0 {
		r.Until, r.until = now.Add(a.For), elapsed+a.For
	}
	err = t.rules.change(elapsed, func(by map[Subject]*Rule) error {
		if _, have := by[s]; !have && len(by) >= maxRules {
			return ErrRules
		}
		by[s] = &r
		return nil
	})
	if err != nil {
		return err
	}
	t.sharing.put(ctx, s, &r)
	verb := "allowed"
	if denied {
		verb = "denied"
	}
	end := ""
	if a.For > 0 {
		end = " until " + r.Until.UTC().Format(time.RFC3339)
	}
	t.changed(ctx, verb, s, a, end)
	return nil
}

// Revoke ends the rule about a subject. It does nothing if there is none.
func (t *Budgets) Revoke(ctx context.Context, s Subject, a Act) error {
	s, err := s.check()
	if err = errors.Join(err, a.check()); err != nil {
		return err
	}
	had := false
	err = t.rules.change(t.cfg.Elapsed(), func(by map[Subject]*Rule) error {
		_, had = by[s]
		delete(by, s)
		return nil
	})
	if err == nil && had {
		t.sharing.put(ctx, s, nil)
		t.changed(ctx, "no longer subject to a rule", s, a, "")
	}
	return err
}

// Rules returns the rules in force, the newest first.
func (t *Budgets) Rules() []Rule {
	set := t.rules.load()
	if set == nil {
		return nil
	}
	now := t.cfg.Elapsed()
	var out []Rule
	for _, r := range set.by {
		if r.until == 0 || r.until > now {
			out = append(out, *r)
		}
	}
	slices.SortFunc(out, func(a, b Rule) int {
		return cmp.Or(b.Since.Compare(a.Since), cmp.Compare(a.Subject.Account, b.Subject.Account),
			cmp.Compare(a.Subject.Network.String(), b.Subject.Network.String()))
	})
	return out
}

// ErrClearedHere means that a budget is clear in this process only, because the shared Store does
// not answer. Clear it again when it does.
var ErrClearedHere = budget.ErrHere

// Clear fills the budget of a subject: with an account and a network, that of the pair alone;
// otherwise that of the account or of the network. A network shorter than /32 or /64 is a site.
// Unsettled guesses remain held. With a shared Store it applies in all processes, or else in this
// one, with an [ErrClearedHere].
func (t *Budgets) Clear(ctx context.Context, s Subject, a Act) error {
	s, err := s.check()
	if err = errors.Join(err, a.check()); err != nil {
		return err
	}
	k, b, err := t.budgetOf(s)
	if err != nil {
		return err
	}
	var here error
	clearOne := func(k budget.Key, b budget.Kind) error {
		err := t.store.Clear(ctx, k, b)
		if errors.Is(err, ErrClearedHere) {
			here, err = err, nil
		}
		return err
	}
	if err := clearOne(k, b); err != nil {
		return fmt.Errorf("throttle: the budget was not cleared; try again: %w", err)
	}
	switch b {
	case budget.Pair:
		if err := clearOne(t.keys.network(pairReserve, t.keys.account(s.Account), s.Network), budget.Pair); err != nil {
			return fmt.Errorf("throttle: the reserve of the pair was not cleared; try again: %w", err)
		}
		t.mirror.forget(t.keys.quick(&Guess{Account: s.Account, Network: s.Network}))
	case budget.Network:
		r := t.keys.network(budget.Requests, budget.Key{}, s.Network)
		if err := errors.Join(clearOne(t.keys.network(networkReserve, budget.Key{}, s.Network), budget.Network), clearOne(r, budget.Requests)); err != nil {
			return fmt.Errorf("throttle: the reserve and the request budget were not cleared; try again: %w", err)
		}
		t.cases.forget(r)
	}
	t.cases.forget(k)
	t.waiters.wake(&budget.Bill{Charges: [budget.NumKinds]budget.Charge{{Key: k}}})
	t.sharing.clear(ctx, s)
	t.changed(ctx, "cleared", s, a, "")
	if here != nil {
		return fmt.Errorf("throttle: %w", here)
	}
	return nil
}

// Charge takes back a Clear of the same subject: it charges guesses to the budget that Clear fills,
// as wrong guesses do, until the budget is empty. It does not charge the reserve of a known pair,
// nor requests without usable credentials.
func (t *Budgets) Charge(ctx context.Context, s Subject, guesses int, a Act) error {
	s, err := s.check()
	if err = errors.Join(err, a.check()); err != nil {
		return err
	}
	k, kind, err := t.budgetOf(s)
	if err != nil {
		return err
	}
	limits := &t.cfg.Limits
	l := [...]Limit{budget.Pair: limits.NewPair, budget.Account: limits.Account, budget.Network: limits.Network, budget.Site: limits.Site}[kind]
	b := t.blank(limits.NewPair)
	b.Mode = budget.Take
	b.Charges[kind] = charge(k, l)
	for range min(guesses, l.Burst) {
		answer, err := t.store.Spend(ctx, b)
		if err != nil {
			return fmt.Errorf("throttle: the budget was not charged; try again: %w", err)
		}
		if answer.Verdict != Granted {
			break
		}
	}
	t.changed(ctx, "charged again", s, a, "")
	return nil
}

// budgetOf returns the key and the kind of the budget that a subject names.
func (t *Budgets) budgetOf(s Subject) (budget.Key, budget.Kind, error) {
	isNetwork := s.Network == clientip.Network(s.Network.Addr())
	switch {
	case s.Account != "" && !s.Network.IsValid():
		return t.keys.account(s.Account), budget.Account, nil
	case s.Account != "" && isNetwork:
		return t.keys.network(pairGuesses, t.keys.account(s.Account), s.Network), budget.Pair, nil
	case s.Account == "" && isNetwork:
		return t.keys.network(budget.Network, budget.Key{}, s.Network), budget.Network, nil
	case s.Account == "" && s.Network == clientip.Site(s.Network.Addr()):
		return t.keys.network(budget.Site, budget.Key{}, s.Network), budget.Site, nil
	}
	return budget.Key{}, 0, fmt.Errorf("%w: %v has no budget; name a /32 or /64, or without an account a /24 or /48", ErrSubject, s.Network)
}

// changed reports an act of an operator as a notice.
func (t *Budgets) changed(ctx context.Context, verb string, s Subject, a Act, end string) {
	n := attempt.Notice{
		Kind: attempt.ThrottleChanged, Time: t.cfg.Now(), Network: s.Network,
		Actor: attempt.Text(a.By, maxActBytes), Why: attempt.Text(a.Why, maxActBytes),
	}
	subject := ""
	if s.Account != "" {
		n.UserHash = t.cfg.Identify(s.Account)
		subject = "account " + n.UserHash
	}
	if s.Network.IsValid() {
		if subject != "" {
			subject += " from "
		}
		subject += "network " + s.Network.String()
	}
	n.Message = "throttle: " + subject + " is " + verb + end
	t.cfg.Notice(ctx, n)
}

// Explanation is the state of a subject, as [Budgets.Explain] returns it.
type Explanation struct {
	Subject Subject
	// Rule is the operator's rule about the subject; nil if there is none.
	Rule *Rule
	// Known reports whether the pair has succeeded lately. Its right password then passes beyond
	// the budgets, while the reserve lasts.
	Known bool
	// Reserve is the state of the reserve beyond the budgets; only when Known.
	Reserve Standing
	// Refused reports whether a budget or a rule refuses the subject. Refuses is the budget that
	// refuses it for the longest time.
	Refused bool
	Refuses Budget
	// Until is when the refusal ends; the zero Time if there is no refusal or it has no end.
	Until time.Time
	// Budgets are the budgets that the subject draws on, in the order pair, account, network,
	// site, requests.
	Budgets []Standing
}

// Standing is the state of one budget.
type Standing struct {
	Budget Budget
	Limit  Limit
	// Left is the number of guesses that the settled ones leave. Held is how many of those
	// unsettled guesses hold.
	Left, Held int
	// Wait is the time until the budget holds one guess again; 0 when it does.
	Wait time.Duration
	// Full reports whether the budget is full and no guess holds a part of it.
	Full bool
}

func standing(b Budget, l Limit, v budget.State) Standing {
	return Standing{
		Budget: b, Limit: l, Left: v.Left, Held: v.Held, Wait: v.Wait,
		Full: v.Left == l.Burst && v.Held == 0,
	}
}

// String explains in one line: "refused by the network budget (300, then 1 each 1s) until
// 2026-01-01T00:00:09Z".
func (e Explanation) String() string {
	until := ""
	if !e.Until.IsZero() {
		until = " until " + e.Until.UTC().Format(time.RFC3339)
	}
	switch {
	case e.Rule != nil && e.Rule.Denied:
		return fmt.Sprintf("denied by %s%s: %s", e.Rule.By, until, e.Rule.Why)
	case e.Rule != nil:
		return fmt.Sprintf("allowed by %s%s: %s", e.Rule.By, until, e.Rule.Why)
	case e.Refused:
		for _, s := range e.Budgets {
			if s.Budget == e.Refuses {
				text := fmt.Sprintf("refused by the %v budget (%v)%s", e.Refuses, s.Limit, until)
				if e.Known && e.Reserve.Left > 0 {
					text += "; the pair is known, its right password passes"
				}
				return text
			}
		}
	case e.Known:
		return "not refused; the pair is known"
	}
	return "not refused"
}

// Explain returns whether a subject is refused, by which budget or rule, and until when. It
// changes nothing. An error means that the subject is invalid or the store failed.
func (t *Budgets) Explain(ctx context.Context, s Subject) (Explanation, error) {
	s, err := s.check()
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Subject: s}
	now, elapsed := t.cfg.Now(), t.cfg.Elapsed()
	g := Guess{Account: s.Account, Network: s.Network}
	b := t.bill(&g)
	if s.Account == "" {
		b.Charges[budget.Pair], b.Charges[budget.Account] = budget.Charge{}, budget.Charge{}
		if l := t.cfg.Limits.Requests; l != (Limit{}) {
			b.Charges[budget.Requests] = charge(t.keys.network(budget.Requests, budget.Key{}, s.Network), l)
		}
	}
	if !s.Network.IsValid() {
		b.Charges[budget.Pair], b.Charges[budget.Network] = budget.Charge{}, budget.Charge{}
	} else if s.Network != clientip.Network(s.Network.Addr()) {
		// A wider network has no budget of its own, unless it is a site.
		b.Charges[budget.Pair], b.Charges[budget.Network], b.Charges[budget.Requests] = budget.Charge{}, budget.Charge{}, budget.Charge{}
		if s.Network != clientip.Site(s.Network.Addr()) {
			b.Charges[budget.Site] = budget.Charge{}
		}
	}
	v, err := t.store.Look(ctx, b)
	if err != nil {
		return e, fmt.Errorf("throttle: the budgets cannot be read; try again: %w", err)
	}
	if b.Charges[budget.Pair] != (budget.Charge{}) {
		if e.Known, e.Reserve, err = t.reserveOf(ctx, &g); err != nil {
			return e, err
		}
	}
	var longest time.Duration
	for i := range budget.NumKinds {
		l := Limit(b.Charges[i].Limit)
		if l == (Limit{}) {
			continue
		}
		view := v.Budgets[i]
		e.Budgets = append(e.Budgets, standing(i, l, view))
		if view.Left < 1 && view.Wait > longest {
			e.Refused, e.Refuses, longest = true, i, view.Wait
			e.Until = now.Add(view.Wait)
		}
	}
	if set := t.rules.load(); set != nil {
		if rule := set.find(&g, elapsed); rule != nil {
			own := *rule
			e.Rule, e.Refused, e.Until = &own, rule.Denied, rule.Until
		}
	}
	return e, nil
}

// reserveOf reports whether a pair is known, and returns the state of its reserve if so.
func (t *Budgets) reserveOf(ctx context.Context, g *Guess) (known bool, left Standing, err error) {
	account := t.keys.account(g.Account)
	for _, k := range [...]budget.Key{t.keys.network(budget.Pair, account, g.Network), t.keys.network(pairReserve, account, g.Network)} {
		b := t.blank(t.cfg.Limits.KnownPair)
		b.Charges[budget.Pair] = charge(k, t.cfg.Limits.KnownPair)
		v, err := t.store.Look(ctx, b)
		if err != nil {
			return false, left, fmt.Errorf("throttle: the budgets cannot be read; try again: %w", err)
		}
		if known = known || v.Known; !known {
			return false, left, nil
		}
		left = standing(budget.Pair, t.cfg.Limits.KnownPair, v.Budgets[budget.Pair])
	}
	return known, left, nil
}
