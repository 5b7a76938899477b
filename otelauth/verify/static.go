// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Static is a store of accounts in code, for tests, tools and services with a handful of users.
// Its zero value has no accounts, and [Static.Validate] refuses it.
//
//	Accounts: &verify.Static{
//	    Hashes: map[string]string{"alice": os.Getenv("ALICE_HASH")},
//	    Groups: map[string][]string{"ops": {"alice"}},
//	},
//
// Hashes and groups are read once, at the first call of any method. The maps must not change
// later. Names are exact and as [ValidName] requires. A Static is safe for concurrent use and
// must not be copied after its first use.
type Static struct {
	// Hashes has the encoded password hash of each name, in any form that [password.Policy.Parse]
	// reads. A plaintext password is refused.
	Hashes map[string]string
	// Groups has the names in each group; nil for no groups. A member that is not an account is
	// an error.
	Groups map[string][]string
	// Policy bounds the hashes. Its zero value is safe.
	Policy password.Policy

	once     sync.Once
	accounts map[string]*Account
	mix      *password.Mix
	err      error
}

var (
	_ Accounts  = (*Static)(nil)
	_ Validator = (*Static)(nil)
	_ Peeker    = (*Static)(nil)
)

// Validate returns all errors of the store, joined, in the order of the names, or nil. They
// contain names of accounts and groups but no hash.
func (s *Static) Validate() error {
	s.once.Do(s.read)
	return s.err
}

// Lookup returns the account with exactly that name, always the same pointer, or nil. If any part
// of the store is invalid, it returns the error of [Static.Validate] for every name.
func (s *Static) Lookup(_ context.Context, name string) (*Account, error) {
	s.once.Do(s.read)
	if s.err != nil {
		return nil, s.err
	}
	return s.accounts[name], nil
}

// Peek returns the account of Lookup, or nil if Lookup returns an error.
func (s *Static) Peek(name string) *Account {
	account, _ := s.Lookup(context.Background(), name)
	return account
}

// Canonical returns name: every spelling is a different account.
func (s *Static) Canonical(name string) string { return name }

// Decoy returns a hash that no password matches, of a scheme and cost in the store.
func (s *Static) Decoy(key uint64) *password.Hash {
	s.once.Do(s.read)
	return s.mix.Decoy(key)
}

// Len returns the number of accounts; 0 if the store is invalid.
func (s *Static) Len() int {
	s.once.Do(s.read)
	if s.err != nil {
		return 0
	}
	return len(s.accounts)
}

// read parses the hashes and the groups.
func (s *Static) read() {
	var problems problemList
	if len(s.Hashes) == 0 {
		problems.add("Static.Hashes is empty, so no client could log in: add an account")
	}
	s.accounts = make(map[string]*Account, len(s.Hashes))
	for _, name := range slices.Sorted(maps.Keys(s.Hashes)) {
		h, err := s.Policy.Parse(s.Hashes[name])
		if invalid := ValidName(name); invalid != nil {
			err = invalid
		}
		if err != nil {
			problems.add("Static.Hashes[%q]: %w", name, err)
			continue
		}
		s.accounts[name] = &Account{Name: name, Password: h}
	}
	s.assignGroups(&problems)
	s.mix = password.NewMix(func(yield func(*password.Hash) bool) {
		for _, a := range s.accounts {
			if !yield(a.Password) {
				return
			}
		}
	})
	s.err = errors.Join(problems...)
}

// assignGroups adds each group to its members.
func (s *Static) assignGroups(problems *problemList) {
	for _, group := range slices.Sorted(maps.Keys(s.Groups)) {
		if group == "" {
			problems.add("Static.Groups has a group without a name: name it or remove it")
		}
		for _, name := range s.Groups[group] {
			a := s.accounts[name]
			if a == nil {
				if _, known := s.Hashes[name]; !known {
					problems.add("Static.Groups[%q]: %q is not an account in Static.Hashes: add it there or remove it here", group, name)
				}
				continue
			}
			if !slices.Contains(a.Groups, group) {
				a.Groups = append(a.Groups, group)
			}
		}
	}
}

// problemList collects the errors of a Static.
type problemList []error

func (p *problemList) add(format string, args ...any) {
	*p = append(*p, fmt.Errorf("verify: "+format, args...))
}
