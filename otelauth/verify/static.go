// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Static is a store of accounts that stands in code, for tests, tools and services with a handful of
// users. Its zero value holds nobody, which [Static.Validate] refuses.
//
//	Accounts: &verify.Static{
//	    Hashes: map[string]string{"alice": os.Getenv("ALICE_HASH")},
//	    Groups: map[string][]string{"ops": {"alice"}},
//	},
//
// Hashes and groups are read once, at the first call of any method; later changes of the maps are not
// seen and must not happen. Names are exact, as [ValidName] says. It is safe for concurrent use and must not be
// copied after its first use.
type Static struct {
	// Hashes holds the encoded password hash of each name, in any form that [password.Policy.Parse]
	// reads. A plaintext password is refused.
	Hashes map[string]string
	// Groups holds the names that belong to each group; nil for none. A member that is no account is a fault.
	Groups map[string][]string
	// Policy bounds the hashes; its zero value is the safe one.
	Policy password.Policy

	once     sync.Once
	accounts map[string]*Account
	mix      *password.Mix
	err      error
}

// Validator is a store that can be checked before it is used. otelauth.New calls Validate and refuses a
// config whose store reports an error, so that a fault is found at start and not by the first user.
type Validator interface {
	// Validate returns every fault at once, joined; nil when there is none.
	Validate() error
}

var (
	_ Accounts  = (*Static)(nil)
	_ Validator = (*Static)(nil)
	_ Peeker    = (*Static)(nil)
)

// Validate returns every fault of the store at once, in the order of the names, or nil. It names accounts
// and groups and never shows a hash.
func (s *Static) Validate() error {
	s.once.Do(s.read)
	return s.err
}

// Lookup returns the account of exactly that name, always the same pointer, or nil. A store with
// faults answers with [Static.Validate]'s error, so that nobody is let in by half of it.
func (s *Static) Lookup(_ context.Context, name string) (*Account, error) {
	s.once.Do(s.read)
	if s.err != nil {
		return nil, s.err
	}
	return s.accounts[name], nil
}

// Peek is Lookup; nil where there is an error.
func (s *Static) Peek(name string) *Account {
	account, _ := s.Lookup(context.Background(), name)
	return account
}

// Canonical returns name: no two spellings are one account.
func (s *Static) Canonical(name string) string { return name }

// Decoy returns a hash that no password matches, of a scheme and cost that the store holds.
func (s *Static) Decoy(key uint64) *password.Hash {
	s.once.Do(s.read)
	return s.mix.Decoy(key)
}

// Len is the number of accounts; 0 when the store has faults.
func (s *Static) Len() int {
	s.once.Do(s.read)
	if s.err != nil {
		return 0
	}
	return len(s.accounts)
}

func (s *Static) read() {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("verify: "+format, args...)) }

	accounts := make(map[string]*Account, len(s.Hashes))
	hashes := make([]*password.Hash, 0, len(s.Hashes))
	if len(s.Hashes) == 0 {
		fault("Static.Hashes is empty: nobody could log in")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Hashes)) {
		if err := ValidName(name); err != nil {
			fault("Static.Hashes[%q]: %w", name, err)
			continue
		}
		h, err := s.Policy.Parse(s.Hashes[name])
		if err != nil {
			fault("Static.Hashes[%q]: %w", name, err)
			continue
		}
		accounts[name] = &Account{Name: name, Password: h}
		hashes = append(hashes, h)
	}
	for _, group := range slices.Sorted(maps.Keys(s.Groups)) {
		if group == "" {
			fault("Static.Groups has a group without a name")
		}
		for _, name := range s.Groups[group] {
			a := accounts[name]
			if a == nil {
				if _, known := s.Hashes[name]; !known {
					fault("Static.Groups[%q]: %q is no account in Static.Hashes", group, name)
				}
				continue
			}
			if !slices.Contains(a.Groups, group) {
				a.Groups = append(a.Groups, group)
			}
		}
	}
	s.accounts, s.mix, s.err = accounts, password.NewMix(slices.Values(hashes)), errors.Join(faults...)
}

// ValidName reports why no account can have this name: it is empty or not valid UTF-8, begins or ends
// with white space, or holds a control character or a colon, which a client cannot send in a user-id
// (RFC 7617 section 2). The error does not hold the name.
func ValidName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case !utf8.ValidString(name):
		return errors.New("the name is not valid UTF-8")
	case strings.Contains(name, ":"):
		return errors.New("the name holds a colon")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the name holds a control character")
	case strings.TrimSpace(name) != name:
		return errors.New("the name begins or ends with white space")
	}
	return nil
}
