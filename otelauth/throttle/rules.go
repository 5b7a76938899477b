// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Subject is the subject of an operator's act: a network, an account, or one account from one
// network.
type Subject struct {
	// Account is the identity of an account, as verify.Accounts.Canonical returns it; "" for any.
	Account string
	// Network is any network, with or without host bits; the zero Prefix for any.
	Network netip.Prefix
}

// Rule is an operator's decision about a subject.
type Rule struct {
	Subject Subject
	// Denied reports whether guesses of the subject are refused, right or wrong. Otherwise they
	// are allowed: neither charged nor refused.
	Denied bool
	// By is who decided, and Why is the reason.
	By, Why string
	// Since is when the rule began. Until is when it ends; the zero Time if it does not.
	Since, Until time.Time

	until time.Duration // 0: never
}

// maxRules bounds the rules in force.
const maxRules = 10_000

// openEnd is the Retry-After of a denial that has no end.
const openEnd = time.Hour

// ruleBook holds the rules in force. Reading takes no lock: each change creates a new set.
type ruleBook struct {
	mu  sync.Mutex
	set atomic.Pointer[ruleSet]
}

type ruleSet struct {
	by map[Subject]*Rule
	// bits4 and bits6 are the prefix lengths of the networks in rules, longest first.
	bits4, bits6 []int
	accounts     bool
}

func (b *ruleBook) load() *ruleSet { return b.set.Load() }

// change replaces the set by an edited copy without the rules that have ended.
func (b *ruleBook) change(now time.Duration, edit func(map[Subject]*Rule) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := &ruleSet{by: make(map[Subject]*Rule)}
	if old := b.set.Load(); old != nil {
		maps.Copy(next.by, old.by)
	}
	maps.DeleteFunc(next.by, func(_ Subject, r *Rule) bool { return r.until != 0 && r.until <= now })
	if err := edit(next.by); err != nil {
		return err
	}
	if len(next.by) == 0 {
		b.set.Store(nil)
		return nil
	}
	for s := range next.by {
		next.accounts = next.accounts || s.Account != ""
		if !s.Network.IsValid() {
			continue
		}
		bits := &next.bits6
		if s.Network.Addr().Is4() {
			bits = &next.bits4
		}
		if !slices.Contains(*bits, s.Network.Bits()) {
			*bits = append(*bits, s.Network.Bits())
		}
	}
	for _, bits := range [][]int{next.bits4, next.bits6} {
		slices.Sort(bits)
		slices.Reverse(bits)
	}
	b.set.Store(next)
	return nil
}

// left returns how long a denial lasts, for Retry-After.
func (r *Rule) left(now time.Duration) time.Duration {
	if r.until == 0 {
		return openEnd
	}
	return r.until - now
}

// find returns the rule that applies to a guess, or nil. A rule about the account from this
// network precedes a rule about either, and a longer network precedes a shorter one. Between a
// rule about the account and one about the network, a denial precedes an allowance.
func (s *ruleSet) find(g *Guess, now time.Duration) *Rule {
	var account *Rule
	if s.accounts && g.Account != "" {
		if r := s.match(g.Account, g.Network, now); r != nil {
			return r
		}
		if account = s.one(Subject{Account: g.Account}, now); account != nil && account.Denied {
			return account
		}
	}
	if network := s.network(g.Network, now); network != nil && (account == nil || network.Denied) {
		return network
	}
	return account
}

// network is find for a request without an account.
func (s *ruleSet) network(p netip.Prefix, now time.Duration) *Rule { return s.match("", p, now) }

func (s *ruleSet) match(account string, p netip.Prefix, now time.Duration) *Rule {
	if !p.IsValid() {
		return nil
	}
	lengths := s.bits6
	if p.Addr().Is4() {
		lengths = s.bits4
	}
	for _, bits := range lengths {
		if bits > p.Bits() {
			continue // a rule about a part of the network does not apply to all of it
		}
		if r := s.one(Subject{account, netip.PrefixFrom(p.Addr(), bits).Masked()}, now); r != nil {
			return r
		}
	}
	return nil
}

func (s *ruleSet) one(subject Subject, now time.Duration) *Rule {
	r := s.by[subject]
	if r == nil || r.until != 0 && r.until <= now {
		return nil
	}
	return r
}
