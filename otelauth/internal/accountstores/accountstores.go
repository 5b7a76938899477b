// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package accountstores is the table of all account stores, for tests. Each test that must hold for
// every store reads [All]: the conformance suite (package verifytest) and the enumeration tests.
//
// A new store adds one line to All and one file here that says how a test fills it.
package accountstores

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/verifytest"
)

// All returns every kind of account store, in an order that tests may rely on.
func All() []Kind {
	return []Kind{
		{Name: "static", New: newStatic, Lacks: verifytest.Features{Disabled: true, Expires: true, Previous: true}, IsFixed: true},
		{Name: "htpasswd", New: newHtpasswd},
		{Name: "SQLite", New: newSQLite, Lacks: verifytest.Features{Previous: true}},
		{Name: "PostgreSQL", New: newPostgreSQL, Lacks: verifytest.Features{Previous: true}},
		{Name: "Django", New: newDjango, Lacks: verifytest.Features{Expires: true, Previous: true}},
	}
}

// Kind is one kind of account store.
type Kind struct {
	Name string
	// New returns the place where such a store keeps its accounts. It has no accounts yet.
	New func(t testing.TB) Backing
	// Lacks lists what such a store cannot hold.
	Lacks verifytest.Features
	// IsFixed reports that the accounts of a store never change. Other stores have a method Reload.
	IsFixed bool
}

// Backing is the place where a store keeps its accounts: a file, a database, a map.
type Backing interface {
	// Write replaces all accounts.
	Write(t testing.TB, accounts []verifytest.Account)
	// Open opens a store that ends with the test.
	Open(t testing.TB, o Options) (verify.Accounts, error)
}

// Options are for stores that use a clock or a database. The zero Options are ready for use.
type Options struct {
	Now       func() time.Time // nil means time.Now
	QueryTime time.Duration    // the additional time of each query
	Queries   *atomic.Int64    // counts the queries; nil counts none
}

// Contract returns the kind for the conformance suite.
func (k Kind) Contract() verifytest.Store {
	var backings sync.Map // of Backing, by store
	s := verifytest.Store{
		Lacks: k.Lacks,
		Open: func(t testing.TB, accounts []verifytest.Account) (verify.Accounts, error) {
			t.Helper()
			b := k.New(t)
			b.Write(t, accounts)
			store, err := b.Open(t, Options{})
			if err != nil {
				return nil, err
			}
			backings.Store(store, b)
			return store, nil
		},
	}
	if k.IsFixed {
		return s
	}
	s.Change = func(t testing.TB, store verify.Accounts, accounts []verifytest.Account) {
		t.Helper()
		b, _ := backings.Load(store)
		b.(Backing).Write(t, accounts) //nolint:forcetypeassert // only Backings are stored
		if err := store.(interface{ Reload() error }).Reload(); err != nil {
			t.Fatal(err)
		}
	}
	return s
}
