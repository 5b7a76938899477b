// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// Case is a budget that has refused guesses, as [Budgets.List] returns it.
type Case struct {
	Budget Budget
	// Network is the network of the budget, the site's for sites; the zero Prefix for accounts.
	Network netip.Prefix
	// Account identifies the account of the budget, for pairs and accounts: the result of
	// Config.Identify. Name is the result of Config.NameOf. Other names are not kept, because
	// people type passwords into the name field.
	Account, Name string
	// Refused is the number of guesses that this process refused. First and Last are the times of
	// the first and the last of them.
	Refused     uint64
	First, Last time.Time
	// Until is when the budget holds one guess again, as of the last refusal.
	Until time.Time

	key   budget.Key
	until time.Duration
}

// maxCases bounds the cases remembered, about 300 bytes each. A new case replaces one that has
// ended, or the one with the fewest refusals among a few.
const maxCases = 4096

// cases holds the refusals of this process by budget.
type cases struct {
	stripes [caseStripes]struct {
		sync.Mutex
		by map[budget.Key]*Case
	}
}

const (
	caseStripes = 16
	caseSamples = 8
)

func (c *cases) note(t *Budgets, g *Guess, b *budget.Bill, a *budget.Answer) {
	k := b.Charges[a.Budget].Key
	now, elapsed := t.cfg.Now(), t.cfg.Elapsed()
	s := &c.stripes[k[1]%caseStripes]
	s.Lock()
	defer s.Unlock()
	if s.by == nil {
		s.by = make(map[budget.Key]*Case)
	}
	mine := s.by[k]
	if mine == nil {
		if len(s.by) >= maxCases/caseStripes {
			c.evict(s.by, elapsed)
		}
		mine = &Case{Budget: a.Budget, First: now, key: k}
		switch a.Budget {
		case budget.Pair:
			mine.Network, mine.Account, mine.Name = g.Network, t.cfg.Identify(g.Account), t.cfg.NameOf(g.Account)
		case budget.Account:
			mine.Account, mine.Name = t.cfg.Identify(g.Account), t.cfg.NameOf(g.Account)
		case budget.Site:
			mine.Network = siteOf(g.Network)
		default:
			mine.Network = g.Network
		}
		s.by[k] = mine
	}
	mine.Refused++
	mine.Last = now
	mine.Until, mine.until = now.Add(a.RetryAfter), elapsed+a.RetryAfter
}

// evict removes one case. The order of a map is random, so its first entries are a sample.
func (c *cases) evict(by map[budget.Key]*Case, elapsed time.Duration) {
	var least *Case
	n := 0
	for _, have := range by {
		if have.until <= elapsed {
			least = have
			break
		}
		if least == nil || have.Refused < least.Refused {
			least = have
		}
		if n++; n == caseSamples {
			break
		}
	}
	delete(by, least.key)
}

// List returns the budgets that are empty and have refused a guess in this process, those with the
// most refusals first. It remembers at most 4,096.
func (t *Budgets) List() []Case {
	now := t.cfg.Elapsed()
	var out []Case
	for i := range t.cases.stripes {
		s := &t.cases.stripes[i]
		s.Lock()
		for k, have := range s.by {
			if have.until <= now {
				delete(s.by, k)
				continue
			}
			out = append(out, *have)
		}
		s.Unlock()
	}
	slices.SortFunc(out, func(a, b Case) int {
		return cmp.Or(cmp.Compare(b.Refused, a.Refused), a.First.Compare(b.First), slices.Compare(a.key[:], b.key[:]))
	})
	return out
}

// forget removes the case of a budget.
func (c *cases) forget(k budget.Key) {
	s := &c.stripes[k[1]%caseStripes]
	s.Lock()
	defer s.Unlock()
	delete(s.by, k)
}

// Budget is the kind of a budget. Its String is "pair", "account", "network", "site" or
// "requests".
type Budget = budget.Kind
