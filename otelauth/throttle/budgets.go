// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// Budgets is the [Throttle] that charges wrong guesses to budgets, which a [Store] keeps. Create
// it with [New]. It is safe for concurrent use.
//
// Each wrong guess is charged to four budgets: those of its (account, network) pair, its account,
// its network and its site. This holds whether or not the pair is known. [Limits] documents the
// budgets and the reserve beyond them. If several networks send the same wrong password, its
// account is charged once: Budgets recognises the last 3 wrong passwords of an account by keyed
// fingerprints that stay in this process.
//
// A right password gives its price back and makes its pair known. It fills no budget, so no client
// clears a block with an account of its own, and no budget reveals that the owner has logged in.
//
// A budget takes 40 bytes in the Store, or up to five times as much just after a [Memory] has
// grown. Budgets itself takes 3 MB, and some hundred bytes for each guess in progress.
type Budgets struct {
	cfg     Config
	store   budget.Store
	keys    keys
	mirror  mirror
	repeats repeats
	flights flights
	waiters waiters
	cases   cases
	rules   ruleBook

	documents *Documents // nil: the store is that of one process
	sharing   *sharing   // nil likewise
}

var _ Throttle = (*Budgets)(nil)

// New returns Budgets, or all errors of cfg joined.
func New(cfg Config) (*Budgets, error) {
	cfg, err := cfg.withDefaults()
	key := cfg.Key
	if key == nil {
		key = make([]byte, minKeyBytes)
		if _, readErr := io.ReadFull(cfg.Rand, key); readErr != nil {
			err = errors.Join(err, fmt.Errorf("throttle: no randomness for the key; check Config.Rand: %w", readErr))
		}
	}
	if err != nil {
		return nil, err
	}
	if cfg.Store == nil {
		if cfg.Store, err = NewMemory(MemoryConfig{Elapsed: cfg.Elapsed, Now: cfg.Now}); err != nil {
			return nil, err
		}
	}
	t := &Budgets{cfg: cfg, store: cfg.Store, keys: newKeys(key)}
	if t.cfg.Identify == nil {
		t.cfg.Identify = func(canonical string) string {
			k := t.keys.account(canonical)
			return hex.EncodeToString(k[:8])
		}
	}
	if t.documents, err = newDocuments(cfg.Store, key, cfg.Rand); err != nil {
		return nil, fmt.Errorf("throttle: shared documents: %w", err)
	}
	t.cfg.Key = nil
	t.share()
	return t, nil
}

// Len implements [Throttle].
func (t *Budgets) Len() int { return t.store.Len() }

// Exhausted implements [Throttle]. It allocates nothing. If another process emptied the reserve of
// a pair in a shared store, Exhausted reports it after the first refusal in this process.
func (t *Budgets) Exhausted(g Guess) bool {
	if rules := t.rules.load(); rules != nil {
		if rule := rules.find(&g, t.cfg.Elapsed()); rule != nil {
			return rule.Denied
		}
	}
	if !t.mirror.used.Load() {
		return false
	}
	until := t.mirror.until(t.keys.quick(&g))
	return until != 0 && until > t.cfg.Elapsed()
}

// bill returns the price of a guess. The key of its pair never becomes known, so known pairs and
// others have the same budgets.
func (t *Budgets) bill(g *Guess) budget.Bill {
	have := &t.cfg.Limits
	b := t.blank(have.NewPair)
	account := t.keys.account(g.Account)
	b.Charges[budget.Pair] = charge(t.keys.network(pairGuesses, account, g.Network), have.NewPair)
	b.Charges[budget.Account] = charge(account, have.Account)
	b.Charges[budget.Network] = charge(t.keys.network(budget.Network, budget.Key{}, g.Network), have.Network)
	if g.Network.IsValid() {
		b.Charges[budget.Site] = charge(t.keys.network(budget.Site, budget.Key{}, siteOf(g.Network)), have.Site)
	}
	return b
}

func (t *Budgets) blank(pair Limit) budget.Bill {
	return budget.Bill{KnownPair: budget.Limit(pair), Remember: t.cfg.Remember, Lease: t.cfg.Lease}
}

func charge(k budget.Key, l Limit) budget.Charge {
	return budget.Charge{Key: k, Limit: budget.Limit(l)}
}

// Spend implements [Throttle]. It asks the store once, and up to three more times if a budget is
// empty.
func (t *Budgets) Spend(ctx context.Context, g Guess) (Decision, error) {
	b := t.bill(&g)
	k := flightKey{b.Charges[budget.Pair].Key, g.Fingerprint}
	if rules := t.rules.load(); rules != nil {
		now := t.cfg.Elapsed()
		if rule := rules.find(&g, now); rule != nil && rule.Denied {
			return Decision{Verdict: Refused, RetryAfter: rule.left(now)}, nil
		} else if rule != nil {
			if !g.Repeat {
				t.flights.join(&k, true)
			}
			return Decision{Verdict: Granted}, nil
		}
	}
	if g.Repeat {
		b.Mode = budget.Check
		if a, err := t.store.Spend(ctx, b); err != nil || a.Verdict == Granted {
			return Decision{Verdict: a.Verdict}, err
		}
		b.Mode = budget.Hold
	}
	d, mine, leader := t.flights.join(&k, false)
	if !leader {
		return d, nil
	}
	p, err := t.pay(ctx, &g, b)
	if err != nil {
		p.decision = Decision{}
	}
	t.flights.land(&k, mine, &p)
	return p.decision, err
}

// pay asks the store to grant a guess on behalf of a flight.
func (t *Budgets) pay(ctx context.Context, g *Guess, b budget.Bill) (p payment, err error) {
	seen := t.waiters.settled.Load()
	p.bill = b
	if p.answer, err = t.store.Spend(ctx, b); err != nil {
		return p, err
	}
	p.decision.Verdict = p.answer.Verdict
	if p.answer.Verdict == Refused || p.answer.Verdict == Held && g.Returning {
		if reserved, err := t.reserve(ctx, g, &p); err != nil || reserved {
			return p, err
		}
	}
	switch p.decision.Verdict {
	case Refused:
		p.decision.RetryAfter = p.answer.RetryAfter
		t.cases.note(t, g, &b, &p.answer)
	case Held:
		p.decision.Changed = t.waiters.wait(b.Charges[p.answer.Budget].Key, seen, p.answer.RetryAfter)
	}
	return p, nil
}

// reserve pays for a guess whose budgets are empty from the reserves of its pair and its network.
// They exist only in networks from which some account has succeeded lately. Which account that was
// must not show: every name is hashed alike and refused alike. reserve reports whether it set the
// decision of p.
func (t *Budgets) reserve(ctx context.Context, g *Guess, p *payment) (decided bool, err error) {
	if known, err := t.known(ctx, t.keys.network(networkKnown, budget.Key{}, g.Network)); err != nil || !known {
		return false, err
	}
	seen := t.waiters.settled.Load()
	account := t.keys.account(g.Account)
	b := t.blank(t.cfg.Limits.KnownPair)
	b.Charges[budget.Pair] = charge(t.keys.network(pairReserve, account, g.Network), t.cfg.Limits.KnownPair)
	if !g.Returning {
		b.Charges[budget.Network] = charge(t.keys.network(networkReserve, budget.Key{}, g.Network), t.cfg.Limits.Network)
	}
	a, err := t.store.Spend(ctx, b)
	if err != nil {
		return false, err
	}
	if a.Known, err = t.known(ctx, t.keys.network(budget.Pair, account, g.Network)); err != nil {
		if a.Verdict == Granted {
			t.store.Settle(ctx, b, a.Receipt, Unjudged)
		}
		return false, err
	}
	switch a.Verdict {
	case Granted:
		p.refused, p.bill, p.answer = p.answer, b, a
		p.decision = Decision{Verdict: Granted, RetryAfter: p.refused.RetryAfter, Reserve: true, Known: a.Known}
	case Held:
		p.decision = Decision{Verdict: Held, Changed: t.waiters.wait(b.Charges[a.Budget].Key, seen, a.RetryAfter)}
	default:
		if a.PairLeft == 0 {
			t.mirrorEmpty(g, &a)
		}
		return false, nil
	}
	return true, nil
}

// known reports whether the pair or network of a key has succeeded lately. It holds and charges
// nothing.
func (t *Budgets) known(ctx context.Context, k budget.Key) (bool, error) {
	b := t.blank(t.cfg.Limits.KnownPair)
	b.Mode = budget.Check
	b.Charges[budget.Pair] = charge(k, t.cfg.Limits.KnownPair)
	a, err := t.store.Spend(ctx, b)
	return a.Known, err
}

// Settle implements [Throttle].
func (t *Budgets) Settle(ctx context.Context, g Guess, s Settlement) {
	account := t.keys.account(g.Account)
	k := flightKey{t.keys.network(pairGuesses, account, g.Network), g.Fingerprint}
	paid, due, learn := t.flights.leave(&k, s)
	again := false
	switch s {
	case Wrong:
		again = t.repeats.note(&account, &g.Fingerprint)
	case Right:
		t.repeats.forget(&account, &g.Fingerprint)
	}
	if due {
		t.settle(ctx, &g, &paid, s, again)
		t.waiters.wake(&paid.bill)
	}
	if learn {
		for _, k := range [...]budget.Key{t.keys.network(budget.Pair, account, g.Network), t.keys.network(networkKnown, budget.Key{}, g.Network)} {
			b := t.blank(t.cfg.Limits.KnownPair)
			b.Charges[budget.Pair] = charge(k, t.cfg.Limits.KnownPair)
			t.store.Settle(ctx, b, budget.Receipt{}, Right)
		}
	}
}

// settle settles the payment of a flight. For the store, Right is Unjudged: it gives the price
// back, because known pairs have keys of their own.
func (t *Budgets) settle(ctx context.Context, g *Guess, p *payment, s Settlement, again bool) {
	b, r := p.bill, p.answer.Receipt
	if s != Wrong {
		t.store.Settle(ctx, b, r, Unjudged)
		return
	}
	if again { // the account has already paid for this password
		spared := r
		spared.Held, spared.Second.Held = r.Held&(1<<budget.Account), r.Second.Held&(1<<budget.Account)
		t.store.Settle(ctx, b, spared, Unjudged)
		r.Held, r.Second.Held = r.Held&^(1<<budget.Account), r.Second.Held&^(1<<budget.Account)
		b.Charges[budget.Account] = budget.Charge{}
	}
	t.store.Settle(ctx, b, r, Wrong)
	if p.decision.Reserve {
		if p.answer.PairLeft == 0 {
			t.mirrorEmpty(g, &p.answer)
		}
		b := t.bill(g)
		t.cases.note(t, g, &b, &p.refused)
	}
}

// mirrorEmpty records that the reserve of a pair is empty.
func (t *Budgets) mirrorEmpty(g *Guess, a *budget.Answer) {
	now := t.cfg.Elapsed()
	wait := a.PairWait
	if a.Verdict == Refused && a.Budget == budget.Pair {
		wait = a.RetryAfter
	}
	t.mirror.note(t.keys.quick(g), a.Known, now+wait, now)
}

// Arrivals is an optional interface of a [Throttle]: a budget of requests whose credentials are
// missing or malformed.
type Arrivals interface {
	// Arrive charges one request to its network. The Verdict is Granted or Refused; no Settle
	// follows. An error means that the store of budgets failed.
	Arrive(ctx context.Context, network netip.Prefix) (Decision, error)
}

var _ Arrivals = (*Budgets)(nil)

// Arrive implements [Arrivals]. It charges Limits.Requests, and always grants if that is zero.
func (t *Budgets) Arrive(ctx context.Context, network netip.Prefix) (Decision, error) {
	if t.cfg.Limits.Requests == (Limit{}) {
		return Decision{Verdict: Granted}, nil
	}
	g := Guess{Network: network}
	if rules := t.rules.load(); rules != nil {
		now := t.cfg.Elapsed()
		if rule := rules.network(network, now); rule != nil && rule.Denied {
			return Decision{Verdict: Refused, RetryAfter: rule.left(now)}, nil
		} else if rule != nil {
			return Decision{Verdict: Granted}, nil
		}
	}
	b := budget.Bill{Mode: budget.Take, Remember: t.cfg.Remember, Lease: t.cfg.Lease}
	b.Charges[budget.Requests] = charge(t.keys.network(budget.Requests, budget.Key{}, network), t.cfg.Limits.Requests)
	a, err := t.store.Spend(ctx, b)
	if err != nil {
		return Decision{}, err
	}
	if a.Verdict != Refused {
		return Decision{Verdict: Granted}, nil
	}
	t.cases.note(t, &g, &b, &a)
	return Decision{Verdict: Refused, RetryAfter: a.RetryAfter}, nil
}
