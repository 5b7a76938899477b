// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package throttle decides whether one more guess may be tried. It is stage 3 of
// the pipeline: a guess is paid for before its hash runs and the price is given back
// when it proves right, so that concurrent guesses cannot all slip past a budget.
//
// [Throttle] is the seam that the verifier asks. [Guesses] is the one to use: budgets of wrong guesses for
// each (account, network) pair, account, network and site, kept by a [Store]: [Memory] in this process, redisstore for
// many. [DangerouslyNone] lets every guess pass. [DefaultBudgets] says what the budgets are and what they leave an attacker.
//
//	th, err := throttle.New(throttle.Config{})
//	mw, err := otelauth.New(otelauth.Config{Accounts: users, Throttle: th})
//
// It refuses to judge passwords and sees none: a credential reaches it as a keyed fingerprint, and a store learns
// neither names nor addresses. It refuses to lock anybody out for what others do: a pair that has
// succeeded lately has a budget of its own. It bans nobody: budgets fill by themselves as time passes.
//
// What it does not stop: the owner's own network is one budget for the owner and whoever shares it with him; an attacker with the
// right password needs one guess; and who has a hundred thousand addresses tries each of as many accounts fifty times.
package throttle

import (
	"context"
	"net/netip"
	"time"
)

// Guess is one try of one credential. The zero Guess is a try of the empty name from an unknown network.
type Guess struct {
	// Account is the identity that the name resolves to, as the store of accounts
	// defines it (case, normalisation). A name that is no account is resolved alike.
	Account string
	// Network is the caller's own network: the /32 of an IPv4 address, the /64 of an
	// IPv6 address; the zero Prefix when the address is unknown.
	Network netip.Prefix
	// Fingerprint is a keyed hash of the credential, the same for the same name and
	// password within one process and of no use outside of it.
	Fingerprint [16]byte
}

// Verdict is what a [Throttle] says to a guess. The zero Verdict refuses.
type Verdict uint8

const (
	// Refused: settled wrong guesses have emptied a budget.
	Refused Verdict = iota
	// Granted: the guess is paid for and may be hashed; Settle must follow.
	Granted
	// Held: guesses that are not settled yet hold the rest of the budget. Wait and ask again.
	Held
)

// Decision is the answer to one [Throttle.Spend].
type Decision struct {
	Verdict Verdict
	// RetryAfter is set when Refused: the time until the budget holds one guess again.
	RetryAfter time.Duration
	// Changed is set when Held: it is closed when a guess on the same budget has settled.
	Changed <-chan struct{}
}

// Settlement is how a granted guess ended. The zero Settlement keeps the price.
type Settlement uint8

const (
	// Wrong keeps the price. So does a caller that went away: it does not get its guess back.
	Wrong Settlement = iota
	// Right gives the price back; the pair has proved itself.
	Right
	// Unjudged gives the price back: the service itself could not judge (overload, store down).
	Unjudged
)

// Throttle keeps guess budgets. Implementations are safe for concurrent use.
type Throttle interface {
	// Exhausted reports whether the (account, network) pair's own budget is empty. It is asked on
	// every recognised credential, so it does no I/O and takes no lock that all callers share.
	Exhausted(g Guess) bool
	// Spend pays for one guess before its hash runs. An error means that the store of budgets
	// failed; the caller denies.
	Spend(ctx context.Context, g Guess) (Decision, error)
	// Settle ends a granted guess. It is called exactly once for each grant, also when the
	// caller is gone: ctx carries no cancellation.
	Settle(ctx context.Context, g Guess, s Settlement)
	// Len is the number of budgets held.
	Len() int
}

// DangerouslyNone grants every guess: nothing but the cost of the hash slows a guesser down.
type DangerouslyNone struct{}

var _ Throttle = DangerouslyNone{}

// Exhausted is always false.
func (DangerouslyNone) Exhausted(Guess) bool { return false }

// Spend always grants.
func (DangerouslyNone) Spend(context.Context, Guess) (Decision, error) {
	return Decision{Verdict: Granted}, nil
}

// Settle does nothing.
func (DangerouslyNone) Settle(context.Context, Guess, Settlement) {}

// Len is 0.
func (DangerouslyNone) Len() int { return 0 }
