// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"slices"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// snapshot is one version of the accounts. It never changes.
type snapshot struct {
	accounts map[string]*verify.Account
	mix      *password.Mix
}

// newSnapshot keeps the pointers of accounts that are the same in old, because the cache of
// verified credentials compares pointers first.
func newSnapshot(old *snapshot, accounts []*verify.Account) *snapshot {
	s := &snapshot{accounts: make(map[string]*verify.Account, len(accounts))}
	changed := old == nil || len(old.accounts) != len(accounts)
	for _, a := range accounts {
		if old != nil {
			if previous := old.accounts[a.Name]; previous != nil && isUnchanged(previous, a) {
				a = previous
			} else {
				changed = true
			}
		}
		s.accounts[a.Name] = a
	}
	if !changed {
		return old
	}
	s.mix = password.NewMix(func(yield func(*password.Hash) bool) {
		for _, a := range accounts {
			if !yield(a.Password) {
				return
			}
		}
	})
	return s
}

// isUnchanged reports whether an account has not changed.
func isUnchanged(a, b *verify.Account) bool {
	return a.Password.Equal(b.Password) && slices.Equal(a.Groups, b.Groups) &&
		a.Disabled == b.Disabled && a.Expires.Equal(b.Expires) && a.PreviousExpires.Equal(b.PreviousExpires)
}
