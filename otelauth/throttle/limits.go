// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"fmt"
	"time"
)

// Limits are the limits of [Budgets], in wrong guesses. A zero Limit is the default of that
// budget.
type Limits struct {
	// NewPair limits an (account, network) pair, whether or not it ever succeeded and whether or
	// not the account exists. Default: 10, then 1 a minute.
	NewPair Limit
	// KnownPair is the reserve of a pair beyond all other budgets. If those are empty, a pair that
	// succeeded within the last Config.Remember is still verified: the right password passes, and
	// any other answer is a refusal. In networks from which some account has succeeded, every name
	// has such a reserve, so that the time of a refusal does not show which names are accounts.
	// Default: 90, then 1 a minute.
	KnownPair Limit
	// Account limits one account from all networks together. Default: 50, then 1 a minute.
	Account Limit
	// Network limits one network, an IPv4 address or an IPv6 /64. It is also the reserve of the
	// network for all names together, beside KnownPair. Default: 300, then 1 a second.
	Network Limit
	// Site limits one site, an IPv4 /24 or an IPv6 /48. Default: 1200, then 1 each 250 ms, which
	// is 4 networks' worth.
	Site Limit
	// Requests limits the requests from one network with missing or malformed credentials, which
	// otherwise cost nothing: see [Budgets.Arrive]. Default: none.
	Requests Limit
}

// DefaultLimits returns the limits that the zero [Limits] means.
//
// NIST SP 800-63B-4, section 3.2.2, allows at most 100 consecutive failed attempts on one account,
// and lets a verifier treat addresses that succeeded before separately. 100 is the burst of a
// known pair: 10 of NewPair and 90 of its reserve. OWASP ("Slow Down Online Guessing Attacks with
// Device Cookies") gives each known device a budget, and all unknown devices together another, so
// that guesses from elsewhere never lock the owner out: these are KnownPair and Account. PCI DSS
// 4.0.1, 8.3.4, locks an account after at most 10 attempts for at least 30 minutes. Where it
// applies, set NewPair and KnownPair to {5, 1 h}, which together allow 10 attempts and 1 more each
// 30 minutes, and Account to {10, 30 min}.
//
// These limits leave an attacker so many wrong guesses at one account:
//
//	from                                    first day   each further day
//	one host                                     1450               1440
//	a /24                                        1490               1440
//	a botnet of 100,000 hosts                    1490               1440
//	the network that the owner uses              2980               2880
//
// In the last row, owner and attacker share one address and therefore one budget; no guess from
// elsewhere touches its reserve. At all accounts together, one host has 86,700 guesses in the
// first day and a /24 has 346,800. A network from which some account has succeeded has as many
// again that are hashed and refused. They find no password except that of a pair that is known
// there.
func DefaultLimits() Limits {
	return Limits{
		NewPair:   Limit{Burst: 10, Every: time.Minute},
		KnownPair: Limit{Burst: 90, Every: time.Minute},
		Account:   Limit{Burst: 50, Every: time.Minute},
		Network:   Limit{Burst: 300, Every: time.Second},
		Site:      Limit{Burst: siteNetworks * 300, Every: time.Second / siteNetworks},
	}
}

// siteNetworks is the number of networks whose guesses a site may use up.
const siteNetworks = 4

// Limit is a budget of guesses: Burst at once, then one more each Every. The zero Limit is no
// budget.
type Limit struct {
	// Burst is the number of guesses that a full budget holds, 1 to 65,535.
	Burst int
	// Every is the time in which one guess comes back, 1 ms to 400 days / Burst.
	Every time.Duration
}

// String returns the limit as text: "10, then 1 each 1m0s".
func (l Limit) String() string {
	if l == (Limit{}) {
		return "none"
	}
	return fmt.Sprintf("%d, then 1 each %v", l.Burst, l.Every)
}
