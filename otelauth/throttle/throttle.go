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
// It judges no passwords and sees none: a credential reaches it as a keyed fingerprint, and a
// store learns neither names nor addresses. It bans no client: budgets fill by themselves as time
// passes.
//
// A wrong guess meets the same budgets for every name, whether or not there is such an account,
// and whether or not it has ever succeeded from that network: otherwise the 429s would show which
// names are accounts. Guesses from elsewhere do not lock the owner out all the same. From a
// network where an account has succeeded lately, a guess beyond the budgets is still verified, for
// every name alike and within a reserve; unless it is the right password of a pair that has
// succeeded lately, the answer is the refusal that the budgets gave. See [Decision] and
// docs/enumeration.md.
//
// What it does not stop: the owner's own network is one budget for the owner and whoever shares it with him; an attacker with the
// right password needs one guess; and who has a hundred thousand addresses tries each of as many accounts fifty times.
package throttle

import (
	"context"
	"net/netip"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
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
	// Repeat reports that the verifier remembers this credential as wrong from this network and
	// will not hash it again. It is refused like any guess, costs nothing when Granted, and needs
	// no Settle then.
	Repeat bool
	// Returning reports that this very credential has been right from this network before, in this
	// process. Only a caller with a right password can set it, so what it is spared shows nothing
	// to a guesser.
	Returning bool
}

// Verdict is what a [Throttle] says to a guess. The zero Verdict refuses.
type Verdict = budget.Verdict

const (
	// Refused: settled wrong guesses have emptied a budget.
	Refused = budget.Refused
	// Granted: the guess is paid for and may be hashed; Settle must follow.
	Granted = budget.Granted
	// Held: guesses that are not settled yet hold the rest of the budget. Wait and ask again.
	Held = budget.Held
)

// Decision is the answer to one [Throttle.Spend].
type Decision struct {
	Verdict Verdict
	// RetryAfter is set when Refused, and with Reserve: the time until the budget holds one guess
	// again.
	RetryAfter time.Duration
	// Reserve is set when a budget is empty and the guess is Granted nevertheless, paid from the
	// reserve of its network. It must be hashed whatever a cache knows. Unless the password is
	// right and Known is set, it is settled as Wrong, and the caller gets the answer of a refusal
	// with RetryAfter.
	Reserve bool
	// Known is set with Reserve when the pair has succeeded lately.
	Known bool
	// Changed is set when Held: it is closed when a guess on the same budget has settled.
	Changed <-chan struct{}
}

// Settlement is how a granted guess ended. The zero Settlement keeps the price.
type Settlement = budget.Settlement

const (
	// Wrong keeps the price. So does a caller that went away: it does not get its guess back.
	Wrong = budget.Wrong
	// Right gives the price back; the pair has proved itself.
	Right = budget.Right
	// Unjudged gives the price back: the service itself could not judge (overload, store down).
	Unjudged = budget.Unjudged
)

// Throttle keeps guess budgets. Implementations are safe for concurrent use.
type Throttle interface {
	// Exhausted reports whether the (account, network) pair may not be recognised from a cache:
	// its reserve is empty, so a right password would stand out among refusals. It is asked on
	// every recognised credential, so it does no I/O and takes no lock that all callers share.
	Exhausted(g Guess) bool
	// Spend pays for one guess before its hash runs. An error means that the store of budgets
	// failed; the caller denies.
	Spend(ctx context.Context, g Guess) (Decision, error)
	// Settle ends a granted guess. It is called exactly once for each grant but that of a Repeat
	// without Reserve, also when the caller is gone: ctx carries no cancellation.
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
