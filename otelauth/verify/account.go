// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Account is one account as a store holds it. It is immutable once a store has
// returned it: a changed account is a new *Account.
type Account struct {
	// Name is the account's name as the store spells it.
	Name string
	// Password is the stored hash; nil for an account that has none, for which no password is right, after the work of a decoy.
	Password *password.Hash
	// Groups are the groups that the account belongs to; nil for none.
	Groups []string
	// Disabled accounts are refused after the same work as any other.
	Disabled bool
	// Expires is when the credential ends; the zero Time never.
	Expires time.Time
	// PreviousExpires is when the previous password ends, where Password has one ([password.Hash.WithPrevious]): before, both are
	// right; from then on the previous is wrong, after the same work. The zero Time: the previous is wrong.
	PreviousExpires time.Time
}

// same reports whether b is still the account that a was when its credential was judged, as far as that credential is
// concerned. Both may be nil: no such account.
func (a *Account) same(b *Account) bool {
	if a == b {
		return true
	}
	return a != nil && b != nil && a.Name == b.Name && a.Password.Equal(b.Password)
}

// usable returns why an account may not be used at that time, "" when it may.
func (a *Account) usable(at time.Time) attempt.Reason {
	switch {
	case a.Disabled:
		return attempt.ReasonAccountDisabled
	case !a.Expires.IsZero() && !at.Before(a.Expires):
		return attempt.ReasonCredentialsExpired
	}
	return ""
}

// accepts is usable for one of the account's passwords, its previous one where previous is set.
func (a *Account) accepts(previous bool, at time.Time) attempt.Reason {
	if reason := a.usable(at); reason != "" {
		return reason
	}
	if previous && !at.Before(a.PreviousExpires) {
		return attempt.ReasonCredentialsExpired
	}
	return ""
}
