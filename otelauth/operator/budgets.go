// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// serveBudgets answers GET v1/budgets.
func (o *Operator) serveBudgets(r *http.Request) (any, error) {
	q := queryOf(r, "limit", "kind", "account", "network")
	limit, network := q.number("limit", defaultLimit, maxLimit), q.network("network")
	if q.err != nil {
		return nil, q.err
	}
	kind, account := q.values.Get("kind"), q.values.Get("account")
	hash := o.hashOf(r, account)
	m, others := o.shared(r.Context(), nil, []string{partBudgets, partRules})
	list := BudgetList{Meta: m, Budgets: []Budget{}, Rules: o.rules()}
	list.More = slices.ContainsFunc(others, func(p published) bool { return p.More })
	for _, b := range joinBudgets(o.blockedHere(), others) {
		p, _ := parseNetwork(b.Network) // the zero Prefix if there is none
		switch {
		case kind != "" && b.Kind != kind,
			account != "" && b.Account != account && (hash == "" || b.Hash != hash),
			network.IsValid() && !p.Overlaps(network):
			continue
		case len(list.Budgets) == limit:
			list.More = true
			continue
		}
		list.Budgets = append(list.Budgets, b)
	}
	return list, nil
}

// blockedHere returns the budgets that are empty and have refused attempts in this process, those
// with the most refusals first.
func (o *Operator) blockedHere() []Budget {
	budgets := o.budgets()
	if budgets == nil {
		return nil
	}
	var all []Budget
	for _, c := range budgets.List() {
		all = append(all, o.budgetOf(&c))
	}
	return all
}

func (o *Operator) budgetOf(c *throttle.Case) Budget {
	return Budget{
		Kind: c.Budget.String(), Account: c.Name, Hash: c.Account, Network: textOf(c.Network), Refused: c.Refused,
		First: c.First.UTC(), Last: c.Last.UTC(), Until: c.Until.UTC(), Instances: []string{o.instance},
	}
}

// rules returns the rules in force, the newest first.
func (o *Operator) rules() []Rule {
	all := []Rule{}
	if budgets := o.budgets(); budgets != nil {
		for _, r := range budgets.Rules() {
			all = append(all, ruleOf(&r))
		}
	}
	return all
}

func ruleOf(r *throttle.Rule) Rule {
	rule := Rule{
		Account: r.Subject.Account, Network: textOf(r.Subject.Network), Effect: VerbAllow,
		Actor: shown(r.By), Reason: shown(r.Why), Since: r.Since.UTC(),
	}
	if r.Denied {
		rule.Effect = VerbDeny
	}
	if !r.Until.IsZero() {
		until := r.Until.UTC()
		rule.Until = &until
	}
	return rule
}

// subject is what a request is about.
type subject struct {
	throttle.Subject
	otelauth.Identity
	typed  string // the account as the caller wrote it
	exists *bool  // nil: no account, or unknown
}

const maxNameBytes = 1024

// subjectOf returns the subject that a request names.
func (o *Operator) subjectOf(ctx context.Context, account, network string) (s subject, err error) {
	if account == "" && network == "" {
		return s, invalid("Name an account, a network, or both.")
	}
	if len(account) > maxNameBytes {
		return s, invalid("The account has %d bytes. A name has at most %d.", len(account), maxNameBytes)
	}
	if network != "" {
		if s.Network, err = parseNetwork(network); err != nil {
			return s, err
		}
		if s.Network.IsSingleIP() {
			s.Network = clientip.Network(s.Network.Addr())
		}
	}
	if s.typed = account; account == "" {
		return s, nil
	}
	s.Account = account
	m := o.verifier.Load()
	if m == nil {
		return s, nil
	}
	s.Identity, err = m.Identify(ctx, account)
	if s.Account = s.Canonical; errors.Is(err, verify.ErrNeedsPassword) {
		return s, nil
	}
	if err != nil {
		return s, refuse(http.StatusServiceUnavailable, CodeStore, "The accounts cannot be read now. Try again. %s", shown(err.Error()))
	}
	exists := s.Name != ""
	s.exists = &exists
	return s, nil
}

// maxEvidence bounds the attempts of an explanation.
const maxEvidence = 20

// serveExplanation answers GET v1/budgets/explain.
func (o *Operator) serveExplanation(r *http.Request) (any, error) {
	q := queryOf(r, "account", "network")
	if q.err != nil {
		return nil, q.err
	}
	s, err := o.subjectOf(r.Context(), q.values.Get("account"), q.values.Get("network"))
	if err != nil {
		return nil, err
	}
	return o.explain(r.Context(), &s)
}

func (o *Operator) explain(ctx context.Context, s *subject) (Explanation, error) {
	m, others := o.shared(ctx, []string{partAttempts}, []string{partBudgets, partRules})
	e := Explanation{
		Meta: m, Account: s.typed, Network: textOf(s.Network), AccountExists: s.exists,
		Budgets: []Standing{}, Attempts: o.evidence(s),
	}
	budgets := o.budgets()
	if budgets == nil {
		e.Sentence = "This service does not limit guesses with budgets, so nothing can block " + e.subjectText() + "."
		return e, nil
	}
	x, err := budgets.Explain(ctx, s.Subject)
	if err != nil {
		return e, err
	}
	e.Refused, e.Known = x.Refused, x.Known
	for _, b := range x.Budgets {
		e.Budgets = append(e.Budgets, standingOf(&b))
	}
	if x.Known {
		reserve := standingOf(&x.Reserve)
		e.Reserve = &reserve
	}
	if x.Refused {
		e.RefusedBy = x.Refuses.String()
		e.Since = refusedSince(joinBudgets(o.blockedHere(), others), s, &x)
	}
	if !x.Until.IsZero() {
		until := x.Until.UTC()
		e.Until = &until
	}
	if x.Rule != nil {
		rule := ruleOf(x.Rule)
		e.Rule, e.Since = &rule, &rule.Since
		if x.Refused {
			e.RefusedBy = "rule"
		}
	}
	e.Sentence = e.sentence()
	return e, nil
}

func standingOf(s *throttle.Standing) Standing {
	return Standing{
		Kind: s.Budget.String(), Burst: s.Limit.Burst, EverySeconds: s.Limit.Every.Seconds(), Left: s.Left, Held: s.Held,
		WaitSeconds: s.Wait.Seconds(), Full: s.Full,
	}
}

// refusedSince returns when the budget that refuses a subject first refused an attempt; nil if
// that is not known.
func refusedSince(blocked []Budget, s *subject, x *throttle.Explanation) *time.Time {
	for _, b := range blocked {
		p, _ := parseNetwork(b.Network)
		if b.Kind == x.Refuses.String() && (b.Hash == "" || b.Hash == s.Hash) && (!p.IsValid() || p.Overlaps(s.Network)) {
			return &b.First
		}
	}
	return nil
}

// evidence returns the recent attempts about a subject that were charged or refused, the newest
// first.
func (o *Operator) evidence(s *subject) []Attempt {
	all := []Attempt{}
	for _, r := range o.rings.all() {
		if r.outcome != attempt.Failure && r.outcome != attempt.Throttled || s.Hash != "" && r.hash != s.Hash ||
			s.Network.IsValid() && !s.Network.Contains(r.client.Unmap()) {
			continue
		}
		if all = append(all, r.attempt()); len(all) == maxEvidence {
			break
		}
	}
	return all
}

// sortBudgets puts those with the most refusals first.
func sortBudgets(all []Budget) {
	slices.SortFunc(all, func(a, b Budget) int {
		return cmp.Or(cmp.Compare(b.Refused, a.Refused), a.First.Compare(b.First), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Network, b.Network), cmp.Compare(a.Hash, b.Hash))
	})
}
