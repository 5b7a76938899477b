// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Account is one account as a store holds it. It must not change after the store has returned it;
// a changed account is a new *Account.
type Account struct {
	// Name is the account's name in the spelling of the store.
	Name string
	// Password is the stored hash. If it is nil, every password is wrong, after the work of a
	// decoy.
	Password *password.Hash
	// Groups are the groups of the account; nil for none.
	Groups []string
	// Disabled accounts are refused after the same work as any other.
	Disabled bool
	// Expires is when the account expires. The zero Time means never.
	Expires time.Time
	// PreviousExpires is when the previous password expires, if Password has one
	// ([password.Hash.WithPrevious]). Until then both passwords are right. Afterwards the
	// previous one is wrong, after the same work. The zero Time means that it has expired.
	PreviousExpires time.Time
}

// isSameCredential reports whether the name and the password are unchanged between a and b. Both
// may be nil, which means no such account.
func (a *Account) isSameCredential(b *Account) bool {
	if a == b {
		return true
	}
	return a != nil && b != nil && a.Name == b.Name && a.Password.Equal(b.Password)
}

// refusalReason returns why the account must be refused at that time, or "" if it is usable.
func (a *Account) refusalReason(at time.Time) attempt.Reason {
	switch {
	case a.Disabled:
		return attempt.ReasonAccountDisabled
	case !a.Expires.IsZero() && !at.Before(a.Expires):
		return attempt.ReasonCredentialsExpired
	}
	return ""
}

// refusalReasonFor is refusalReason for one password of the account: the previous one if previous
// is true.
func (a *Account) refusalReasonFor(previous bool, at time.Time) attempt.Reason {
	if reason := a.refusalReason(at); reason != "" {
		return reason
	}
	if previous && !at.Before(a.PreviousExpires) {
		return attempt.ReasonCredentialsExpired
	}
	return ""
}
