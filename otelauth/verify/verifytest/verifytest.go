// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package verifytest tests implementations of [verify.Accounts]. One call of [Run] checks the whole
// contract of an account store: names, passwords, changes, concurrency, and that the store does not
// reveal which names are accounts.
//
//	func TestContract(t *testing.T) {
//	    verifytest.Run(t, verifytest.Store{
//	        Open: func(t testing.TB, accounts []verifytest.Account) (verify.Accounts, error) {
//	            … // write the accounts and open a store that reads them
//	        },
//	        Change: func(t testing.TB, store verify.Accounts, accounts []verifytest.Account) {
//	            … // replace the accounts, and make the store read them
//	        },
//	    })
//	}
//
// Run the test with the race detector. A store that passes works with every feature of otelauth.
package verifytest

import (
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Account is one account that the store under test must serve.
type Account struct {
	// Name is the name of the account.
	Name string
	// Hash is the encoded password hash.
	Hash string
	// Groups are the groups of the account, sorted.
	Groups []string
	// Disabled accounts are refused.
	Disabled bool
	// Expires is when the account expires; the zero Time means never. It has whole seconds.
	Expires time.Time
	// Previous is the encoded hash of the previous password, which is right until PreviousExpires;
	// "" for none.
	Previous        string
	PreviousExpires time.Time
}

// Store is the store under test. Only Open is required.
type Store struct {
	// Open returns a new store that serves exactly these accounts. It registers with t what must be
	// closed or deleted after the test. Its error is that of the store; a problem of the test
	// itself calls t.Fatal.
	Open func(t testing.TB, accounts []Account) (verify.Accounts, error)
	// Change replaces all accounts of a store that Open has returned. When it returns, the store
	// serves the new ones. nil: the accounts of such a store never change.
	Change func(t testing.TB, store verify.Accounts, accounts []Account)
	// Lacks lists the fields of Account that such a store cannot hold. Run then leaves them zero.
	Lacks Features
}

// Features are optional fields of [Account].
type Features struct {
	Groups   bool // Groups
	Disabled bool // Disabled
	Expires  bool // Expires
	Previous bool // Previous and PreviousExpires
}

// Run tests a store. Each part of the contract is a parallel subtest that opens its own stores.
// A part that such a store cannot hold, by [Store].Lacks or without Change, has no subtest.
func Run(t *testing.T, s Store) {
	t.Helper()
	for _, c := range contract() {
		if !c.needs(s) {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.check(t, s)
		})
	}
}

// clause is one part of the contract.
type clause struct {
	name  string
	needs func(Store) bool
	check func(testing.TB, Store)
}

// contract returns every part of the contract.
func contract() []clause {
	always := func(Store) bool { return true }
	canChange := func(s Store) bool { return s.Change != nil }
	return []clause{
		{"known names", always, knownNames},
		{"unknown names", always, unknownNames},
		{"one account has one identity", always, identities},
		{"several hashes", always, severalHashes},
		{"groups", func(s Store) bool { return !s.Lacks.Groups }, groups},
		{"disabled", func(s Store) bool { return !s.Lacks.Disabled }, disabled},
		{"expired", func(s Store) bool { return !s.Lacks.Expires }, expired},
		{"previous password", func(s Store) bool { return !s.Lacks.Previous }, previousPassword},
		{"an invalid hash", always, invalidHash},
		{"decoys", always, decoys},
		{"unknown names take the path of known ones", always, samePath},
		{"a change takes effect", canChange, change},
		{"a returned account never changes", canChange, immutable},
		{"a reload is reported", canChange, reload},
		{"concurrent use", always, concurrentLookups},
		{"concurrent changes", canChange, concurrentChanges},
		{"a canceled context", always, canceled},
		{"close", always, closed},
	}
}
