// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package budget is the contract between throttle and the stores of its budgets: what one guess
// costs ([Bill]), what a [Store] answers ([Answer]), and the arithmetic of one budget ([Limit],
// [Holds]). Stores of this contract pass the tests of package budgettest.
package budget

import (
	"context"
	"errors"
	"time"
)

// Key identifies one budget: a keyed hash of its subject. A store never learns a name or an
// address.
type Key [16]byte

// Kind is the kind of subject that a budget belongs to. [Kind.String] returns its name.
type Kind uint8

// The kinds, in the order of [Bill.Charges].
const (
	Pair     Kind = iota // one account from one network
	Account              // one account from all networks together
	Network              // one network: /32 or /64
	Site                 // all networks of one site together: /24 or /48
	Requests             // requests of one network with missing or malformed credentials
	NumKinds
)

// String returns the name of the kind: "pair", "account", "network", "site", "requests".
func (k Kind) String() string {
	if k >= NumKinds {
		return "unknown"
	}
	return [...]string{"pair", "account", "network", "site", "requests"}[k]
}

// Charge is one guess on one budget. A Charge with the zero Limit costs nothing.
type Charge struct {
	Key   Key
	Limit Limit
}

// Mode is what [Store.Spend] does with a [Bill]. The zero Mode is Hold.
type Mode uint8

const (
	// Hold holds one guess on each budget until Settle or the end of its lease.
	Hold Mode = iota
	// Check holds nothing, because the guess is already paid for. It is granted if settled guesses
	// have emptied no budget.
	Check
	// Take charges each budget at once. No Settle follows.
	Take
)

// Bill is the price of one guess.
//
// Charges[Pair].Limit is the budget of the pair while it is not known; the other charges apply only
// then. A pair is known if it succeeded within the last Remember, which the store decides. The only
// budget of a known pair is KnownPair.
type Bill struct {
	Mode      Mode
	Charges   [NumKinds]Charge
	KnownPair Limit
	Remember  time.Duration
	// Lease is the time after which an unsettled hold is charged, at the latest after twice of it.
	Lease time.Duration
}

// Receipt is what a [Store] granted. The caller passes it to [Store.Settle] unchanged.
type Receipt struct {
	// Held has bit k set for each [Kind] k that holds the guess.
	Held uint8
	// Epoch is the value that [Holds.Hold] returned.
	Epoch int64
	// Second is what the fallback of a store granted for the same guess.
	Second struct {
		Held  uint8
		Epoch int64
	}
}

// Verdict is the answer to a guess. The zero Verdict refuses.
type Verdict uint8

// The verdicts. Package throttle documents them.
const (
	Refused Verdict = iota
	Granted
	Held
)

// Settlement is how a granted guess ended. The zero Settlement keeps the price.
type Settlement uint8

// The settlements. Package throttle documents them.
const (
	Wrong Settlement = iota
	Right
	Unjudged
)

// Answer is the answer of a [Store] to a [Bill].
type Answer struct {
	Verdict Verdict
	// Budget is the budget that refused the guess, or that other guesses hold.
	Budget Kind
	// RetryAfter is, when Refused, the longest time until a refusing budget holds a guess again.
	// When Held, it is the time after which to ask again; 0 if only this process can release a
	// hold.
	RetryAfter time.Duration
	// Known reports whether the pair is known.
	Known bool
	// PairLeft is the number of guesses that the budget of the pair has left after this one, if
	// all unsettled guesses prove wrong. PairWait is the time until it holds one more when
	// PairLeft is 0.
	PairLeft int
	PairWait time.Duration
	Receipt  Receipt
}

// View is the state of the budgets of a [Bill].
type View struct {
	Known   bool
	Budgets [NumKinds]State
}

// State is the state of one budget.
type State struct {
	// Left is the number of guesses that the settled ones leave. Held is how many of those
	// unsettled guesses hold.
	Left, Held int
	// Wait is the time until the budget holds one guess again; 0 when it does.
	Wait time.Duration
}

// ErrHere means that a budget is clear in this process only.
var ErrHere = errors.New("the budget is clear in this process only; clear it again when the shared store answers")

// Store keeps budgets. Implementations are bounded, safe for concurrent use, and pass the tests of
// package budgettest.
//
// [Limit] and [Holds] define the arithmetic of each budget. The store applies it to a whole Bill in
// one atomic step, on a clock that does not follow changes of the wall clock.
type Store interface {
	// Spend answers a Bill in one atomic step. It refuses if settled guesses have emptied a
	// budget. Otherwise, in mode Hold, it answers Held if unsettled guesses hold the rest of a
	// budget. In all other cases it grants. Only a grant holds or charges anything. An error means
	// that the store failed and has no answer.
	Spend(ctx context.Context, b Bill) (Answer, error)
	// Settle ends a granted Bill. Wrong charges what is held; Right and Unjudged give it back.
	// Right also makes the pair known, with a full budget if it was not known; the Receipt may
	// then be zero. Settle does not wait for a remote store.
	Settle(ctx context.Context, b Bill, r Receipt, s Settlement)
	// Look returns the state of the budgets and changes nothing. It ignores Mode.
	Look(ctx context.Context, b Bill) (View, error)
	// Clear fills the budget of a key. Holds remain, and a known pair remains known.
	// The error is an ErrHere if that is so in this process only.
	Clear(ctx context.Context, k Key, kind Kind) error
	// Forget clears the budget of a pair and makes the pair unknown.
	Forget(ctx context.Context, pair Key) error
	// Len returns the approximate number of budgets held. It does no I/O.
	Len() int
}

// Board is a [Store] whose processes also share documents, small values with a name. Package
// throttle keeps rules in one. Implementations pass the tests of package budgettest.
type Board interface {
	Store
	// Update replaces a document by what edit makes of it, in one atomic step: if another process
	// has changed it in between, edit is called again. current is nil if there is no document. The
	// document expires after life, unless it is updated again. A result of nil leaves it as it is,
	// and so does an error, which Update returns.
	Update(ctx context.Context, name string, life time.Duration, edit func(current []byte) ([]byte, error)) error
	// Read returns a document, nil if there is none.
	Read(ctx context.Context, name string) ([]byte, error)
	// Watch calls changed with the document now and after each change, within a second, until stop
	// is called. content is nil if there is none. Calls of one Watch are never concurrent. After an
	// Update that the store has not answered, changed is called again.
	Watch(name string, changed func(content []byte)) (stop func())
	// ClearHere is Clear for what this process alone remembers.
	ClearHere(ctx context.Context, k Key, kind Kind) error
	// Ahead returns the clock of the board minus that of this process, 0 while it is unknown.
	Ahead() time.Duration
	// Shared reports whether the board is reachable.
	Shared() bool
}
