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
)

// Guesses is the [Throttle] over a [Store] of budgets. Make one with [New]. It is safe for concurrent use.
//
// Each wrong guess is charged to the budgets of its (account, network) pair, of its account, of its network and of its site; see [Budgets] for
// what they hold and for pairs that are known. The same wrong password, sent again or by many at once, is one guess: the
// last 3 of an account are recognised, by fingerprints that are keyed and stay in this process. A right password
// gives its price back, and makes its pair known, with a full budget if it was not known before; no other budget is
// touched, so that nobody clears a block with an account of his own.
//
// A budget is 40 bytes in the Store, and up to five times as many with the room that a [Memory] has just made for more. Beside it a Guesses holds 3 MB, and some hundred bytes for each guess on its way.
type Guesses struct {
	cfg     Config
	store   Store
	keys    keys
	mirror  mirror
	repeats repeats
	flights flights
	waiters waiters
	cases   cases
	rules   ruleBook
}

var _ Throttle = (*Guesses)(nil)

// New returns a Guesses, or every fault of cfg at once.
func New(cfg Config) (*Guesses, error) {
	cfg, err := cfg.withDefaults()
	key := cfg.Key
	if key == nil {
		key = make([]byte, minKeyBytes)
		if _, random := io.ReadFull(cfg.Rand, key); random != nil {
			err = errors.Join(err, fmt.Errorf("throttle: no randomness for the key: %w", random))
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
	t := &Guesses{cfg: cfg, store: cfg.Store, keys: newKeys(key)}
	if t.cfg.Identify == nil {
		t.cfg.Identify = func(canonical string) string {
			k := t.keys.account(canonical)
			return hex.EncodeToString(k[:8])
		}
	}
	t.cfg.Key = nil
	return t, nil
}

// Len implements [Throttle].
func (t *Guesses) Len() int { return t.store.Len() }

// Exhausted implements [Throttle]. It allocates nothing. A pair whose budget another process emptied in a shared store is
// known here after the first refusal.
func (t *Guesses) Exhausted(g Guess) bool {
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

// bill is what a guess costs.
func (t *Guesses) bill(g *Guess) Bill {
	have := &t.cfg.Budgets
	b := Bill{KnownPair: have.KnownPair, Remember: t.cfg.Remember, Lease: t.cfg.Lease}
	account := t.keys.account(g.Account)
	b.Charges[Pair] = Charge{t.keys.network(Pair, account, g.Network), have.NewPair}
	b.Charges[Account] = Charge{account, have.Account}
	b.Charges[Network] = Charge{t.keys.network(Network, Key{}, g.Network), have.Network}
	if g.Network.IsValid() {
		b.Charges[Site] = Charge{t.keys.network(Site, Key{}, siteOf(g.Network)), have.Site}
	}
	return b
}

// Spend implements [Throttle]. It asks the store once.
func (t *Guesses) Spend(ctx context.Context, g Guess) (Decision, error) {
	b := t.bill(&g)
	k := flightKey{b.Charges[Account].Key, g.Fingerprint}
	if rules := t.rules.load(); rules != nil {
		now := t.cfg.Elapsed()
		if rule := rules.find(&g, now); rule != nil && rule.Denied {
			return Decision{Verdict: Refused, RetryAfter: rule.left(now)}, nil
		} else if rule != nil {
			t.flights.join(&k, &t.repeats, true)
			return Decision{Verdict: Granted}, nil
		}
	}
	seen := t.waiters.settled.Load()
	mine, leader := t.flights.join(&k, &t.repeats, false)
	if !leader {
		b.Mode = Check
	}
	a, err := t.store.Spend(ctx, b)
	switch {
	case leader && err != nil:
		t.flights.paid(&k, mine, nil, nil, g.Network)
	case leader:
		t.flights.paid(&k, mine, &b, &a, g.Network)
	case err != nil || a.Verdict != Granted:
		t.Settle(ctx, g, Unjudged)
	}
	if err != nil {
		return Decision{}, err
	}
	d := Decision{Verdict: a.Verdict}
	switch a.Verdict {
	case Refused:
		d.RetryAfter = a.RetryAfter
		if a.PairLeft == 0 {
			t.mirrorEmpty(&g, &a)
		}
		t.cases.note(t, &g, &b, &a)
	case Held:
		d.Changed = t.waiters.wait(b.Charges[a.Budget].Key, seen, a.RetryAfter)
	}
	return d, nil
}

// Settle implements [Throttle].
func (t *Guesses) Settle(ctx context.Context, g Guess, s Settlement) {
	account := t.keys.account(g.Account)
	k := flightKey{account, g.Fingerprint}
	mine, due, learn := t.flights.leave(&k, &t.repeats, s, g.Network)
	if due {
		how := s
		if s == Right && mine.network != g.Network {
			how = Unjudged // another network's pair has paid; ours is learned below
		}
		t.store.Settle(ctx, mine.bill, mine.answer.Receipt, how)
		if how == Right {
			learn = false
		}
		if s == Wrong && mine.answer.PairLeft == 0 {
			t.mirrorEmpty(&Guess{Account: g.Account, Network: mine.network}, &mine.answer)
		}
		t.waiters.wake(&mine.bill)
	}
	if s == Right {
		t.repeats.forget(&account, &g.Fingerprint)
	}
	if learn {
		t.store.Settle(ctx, t.bill(&g), Receipt{}, Right)
	}
}

// mirrorEmpty notes that a pair's budget is empty.
func (t *Guesses) mirrorEmpty(g *Guess, a *Answer) {
	now := t.cfg.Elapsed()
	wait := a.PairWait
	if a.Verdict == Refused && a.Budget == Pair {
		wait = a.RetryAfter
	}
	t.mirror.note(t.keys.quick(g), a.Known, now+wait, now)
}

// Arrivals is what a [Throttle] may also be: a budget of requests whose credentials are missing or malformed.
type Arrivals interface {
	// Arrive charges one request to its network. The Verdict is Granted or Refused; nothing is settled.
	Arrive(ctx context.Context, network netip.Prefix) (Decision, error)
}

var _ Arrivals = (*Guesses)(nil)

// Arrive implements [Arrivals]: it charges Budgets.Requests, and always grants when there is none.
func (t *Guesses) Arrive(ctx context.Context, network netip.Prefix) (Decision, error) {
	if t.cfg.Budgets.Requests == (Limit{}) {
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
	b := Bill{Mode: Take, Remember: t.cfg.Remember, Lease: t.cfg.Lease}
	b.Charges[Requests] = Charge{t.keys.network(Requests, Key{}, network), t.cfg.Budgets.Requests}
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
