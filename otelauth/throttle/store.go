// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"context"
	"time"
)

// Key names one budget to a [Store]: a keyed hash of what the budget is about. No store ever learns a name or an address.
type Key [16]byte

// Budget says what a budget is about.
type Budget uint8

// The budgets. Their order is that of [Bill.Charges].
const (
	Pair     Budget = iota // one account from one network
	Account                // one account, from all networks not known for it together
	Network                // one network: /32 or /64
	Site                   // the networks of one site together: /24 or /48
	Requests               // requests of one network without credentials that could be judged
	numBudgets
)

// String returns the name of the budget: "pair", "account", "network", "site", "requests".
func (b Budget) String() string {
	if b >= numBudgets {
		return "unknown"
	}
	return [...]string{"pair", "account", "network", "site", "requests"}[b]
}

// Charge is one guess on one budget. A Charge with the zero Limit is none.
type Charge struct {
	Key   Key
	Limit Limit
}

// Mode says what a [Store.Spend] does.
type Mode uint8

const (
	// Hold holds one guess on each budget until Settle or the end of its lease.
	Hold Mode = iota
	// Check holds nothing: the guess is paid for already. It is granted when no budget is empty, whoever holds the rest of it.
	Check
	// Take charges at once; no Settle follows.
	Take
)

// Bill is what one guess costs.
//
// Charges[Pair].Limit is the pair's budget while it is not known, and the other charges are its price then. Once it is known,
// KnownPair is its only budget: it is neither charged to nor refused by the others. Known is a pair that
// succeeded in the last Remember; whether it is, is for the store to say.
type Bill struct {
	Mode      Mode
	Charges   [numBudgets]Charge
	KnownPair Limit
	Remember  time.Duration
	// Lease is the time after which, within twice of it, a hold that nobody settled is charged.
	Lease time.Duration
}

// Receipt is what a [Store] granted. It is opaque: hand it back to Settle.
type Receipt struct {
	// Held has bit b set for each Budget b that holds the guess.
	Held uint8
	// Epoch is that of [Holds.Hold].
	Epoch int64
	// Second is what a second store granted that the first keeps in step, to go on with when the first fails.
	Second struct {
		Held  uint8
		Epoch int64
	}
}

// Answer is what a [Store] says to a [Bill].
type Answer struct {
	Verdict Verdict
	// Budget is the one that refused or is held.
	Budget Budget
	// RetryAfter is, when Refused, the longest time until a budget that refused holds a guess again; when Held, the time after which asking
	// again is worth it although nobody in this process has settled: 0 when only this process can.
	RetryAfter time.Duration
	// Known says that the pair is known; PairLeft how many guesses its budget has left after this one, those on their way
	// taken as wrong; PairWait how long it takes to hold one more when PairLeft is 0.
	Known    bool
	PairLeft int
	PairWait time.Duration
	Receipt  Receipt
}

// View is the state of the budgets of a [Bill].
type View struct {
	Known   bool
	Budgets [numBudgets]BudgetView
}

// BudgetView is the state of one budget.
type BudgetView struct {
	// Left is how many guesses the settled ones have left, Held how many of those are on their way.
	Left, Held int
	// Wait is the time until the budget holds one guess again; 0 when it does.
	Wait time.Duration
}

// Store keeps budgets for [Guesses]: [Memory] in this process, redisstore for many. Implementations are safe for
// concurrent use, bounded, and pass throttletest.
//
// What a store does with each budget is written in [Limit] and [Holds]; the store makes it atomic over the whole Bill, on a
// clock of its own that does not jump with the wall clock.
type Store interface {
	// Spend answers a Bill in one atomic step: Refused when a budget is empty by settled guesses alone, else, in mode Hold, Held when
	// those on their way take what is left of one, else Granted. Nothing is held or charged unless it is Granted.
	// An error means that the store failed and has no answer to give.
	Spend(ctx context.Context, b Bill) (Answer, error)
	// Settle ends a granted Bill: Wrong charges what is held, Right and Unjudged give it back. Right also makes the pair
	// known, with a full budget if it was not known before, or remembers it anew; the Receipt may then be zero. The caller does not wait
	// for a store elsewhere.
	Settle(ctx context.Context, b Bill, r Receipt, s Settlement)
	// Look reports without changing anything. Mode is ignored.
	Look(ctx context.Context, b Bill) (View, error)
	// Clear fills the budget of a key. What is on its way stays so, and a known pair stays known.
	Clear(ctx context.Context, k Key, b Budget) error
	// Forget is Clear, and the pair is not known any longer.
	Forget(ctx context.Context, pair Key) error
	// Len is the number of budgets held, about; without I/O.
	Len() int
}
