// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package throttle decides whether a client may try one more guess. It is stage 3 of the pipeline.
// A guess is paid for before its hash runs, and the price is given back if it proves right, so
// concurrent guesses cannot exceed a budget.
//
// [Throttle] is the interface that the verifier asks. [Budgets] implements it with a budget of
// wrong guesses for each (account, network) pair, account, network and site. A [Store] keeps the
// budgets: [Memory] for one process, redisstore for several. [DefaultLimits] documents the limits
// and what they leave an attacker. [DangerouslyNone] grants every guess.
//
//	th, err := throttle.New(throttle.Config{})
//	mw, err := otelauth.New(otelauth.Config{Accounts: users, Throttle: th})
//
// The package sees no passwords: it receives a keyed fingerprint of each credential, and a store
// receives neither names nor addresses. It does not ban clients: budgets refill as time passes.
//
// A wrong guess draws on the same budgets for every name, whether or not the account exists and
// whether or not it ever succeeded from that network. Otherwise a 429 would show which names are
// accounts. Guesses from elsewhere still do not lock the owner out. In a network where an account
// has succeeded lately, guesses beyond the budgets are verified from a reserve, for every name
// alike. Only the right password of a pair that has succeeded lately passes; all others get the
// refusal of the budgets. See [Decision] and docs/enumeration.md.
//
// It does not stop three kinds of attack. An attacker in the owner's own network shares the
// owner's budget. An attacker with the right password needs one guess. An attacker with a hundred
// thousand addresses can try each of a hundred thousand accounts fifty times.
package throttle

import (
	"context"
	"net/netip"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// Guess is one attempt with one credential. The zero Guess is an attempt with the empty name from
// an unknown network.
type Guess struct {
	// Account is the identity that the name resolves to, as verify.Accounts.Canonical returns it.
	// Names that are not accounts are resolved in the same way.
	Account string
	// Network is the network of the client: the /32 of an IPv4 address, the /64 of an IPv6
	// address; the zero Prefix if the address is unknown.
	Network netip.Prefix
	// Fingerprint is a keyed hash of the credential. It is the same for the same name and password
	// within one process, and useless outside of it.
	Fingerprint [16]byte
	// Repeat reports whether the verifier remembers this credential as wrong from this network and
	// will not hash it again. Such a guess can be refused. If it is granted, it costs nothing and
	// needs no Settle.
	Repeat bool
	// Returning reports whether this credential has proved right from this network before, in this
	// process. Only a caller with a right password can set it, so it reveals nothing to an
	// attacker.
	Returning bool
}

// Verdict is the answer of a [Throttle] to a guess. The zero Verdict refuses.
type Verdict = budget.Verdict

const (
	// Refused means that settled wrong guesses have emptied a budget.
	Refused = budget.Refused
	// Granted means that the guess is paid for and may be hashed. Settle must follow.
	Granted = budget.Granted
	// Held means that unsettled guesses hold the rest of a budget. The caller waits and asks
	// again.
	Held = budget.Held
)

// Decision is the result of one [Throttle.Spend]. The zero Decision refuses.
type Decision struct {
	Verdict Verdict
	// RetryAfter is the time until the budget holds one guess again. It is set when Refused, and
	// with Reserve.
	RetryAfter time.Duration
	// Reserve reports that a budget is empty and the guess was granted from the reserve of its
	// network. The caller must hash it, whatever a cache knows. Unless the password is right and
	// Known is set, the caller settles it as Wrong and answers with a refusal and RetryAfter.
	Reserve bool
	// Known reports, with Reserve, that the pair has succeeded lately.
	Known bool
	// Changed is set when Held. It is closed when a guess on the same budget is settled.
	Changed <-chan struct{}
}

// Settlement is how a granted guess ended. The zero Settlement keeps the price.
type Settlement = budget.Settlement

const (
	// Wrong keeps the price. It is also the settlement of a client that disconnected, which does
	// not get its guess back.
	Wrong = budget.Wrong
	// Right gives the price back and makes the pair known.
	Right = budget.Right
	// Unjudged gives the price back, because the service could not verify (overload, store down).
	Unjudged = budget.Unjudged
)

// Throttle decides about guesses. Implementations are safe for concurrent use.
type Throttle interface {
	// Exhausted reports whether the (account, network) pair must not be recognised from a cache.
	// Its reserve is empty then, and a right password would stand out among refusals. The verifier
	// calls it for every recognised credential, so it does no I/O and takes no lock that all
	// callers share.
	Exhausted(g Guess) bool
	// Spend pays for one guess before its hash runs. An error means that the store of budgets
	// failed; the caller denies the request.
	Spend(ctx context.Context, g Guess) (Decision, error)
	// Settle ends a granted guess. The caller calls it exactly once for each grant, except for a
	// Repeat without Reserve, and also if the client has disconnected: ctx is not canceled.
	Settle(ctx context.Context, g Guess, s Settlement)
	// Len returns the number of budgets held.
	Len() int
}

// DangerouslyNone grants every guess, so only the cost of a hash slows an attacker down.
type DangerouslyNone struct{}

var _ Throttle = DangerouslyNone{}

// Exhausted returns false.
func (DangerouslyNone) Exhausted(Guess) bool { return false }

// Spend grants.
func (DangerouslyNone) Spend(context.Context, Guess) (Decision, error) {
	return Decision{Verdict: Granted}, nil
}

// Settle does nothing.
func (DangerouslyNone) Settle(context.Context, Guess, Settlement) {}

// Len returns 0.
func (DangerouslyNone) Len() int { return 0 }
