// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// table is a store of accounts that needs I/O. It implements every optional interface too.
type table struct {
	rows    map[string]*verify.Account // in place of a database
	mix     *password.Mix
	reports []func(verify.Reload)
}

var (
	_ verify.Accounts  = (*table)(nil)
	_ verify.Validator = (*table)(nil)
	_ verify.Recaller  = (*table)(nil)
	_ verify.Peeker    = (*table)(nil)
	_ verify.Reloader  = (*table)(nil)
)

func newTable(encoded string) (*table, error) {
	hash, err := password.Parse(encoded)
	if err != nil {
		return nil, err
	}
	return &table{
		rows: map[string]*verify.Account{"alice": {Name: "alice", Password: hash}},
		mix:  password.NewMix(slices.Values([]*password.Hash{hash})),
	}, nil
}

// Lookup returns nil for a name that is not an account. An error means that the store is down.
func (s *table) Lookup(_ context.Context, name string) (*verify.Account, error) {
	return s.rows[name], nil
}

// Canonical returns the same identity for names that are one account.
func (s *table) Canonical(name string) string { return name }

// Decoy returns a hash for an unknown name, so that it costs the same as an account.
func (s *table) Decoy(key uint64) *password.Hash { return s.mix.Decoy(key) }

func (s *table) Len() int { return len(s.rows) }

// Validate finds a mistake at the start and not by the first client.
func (s *table) Validate() error {
	if len(s.rows) == 0 {
		return errors.New("table: no accounts")
	}
	return nil
}

// Recall serves credentials that were verified before, while the store is down.
func (s *table) Recall(ctx context.Context, name string) (*verify.Account, error) {
	return s.Lookup(ctx, name)
}

// Staleness is how old the result of Recall may be.
func (s *table) Staleness() time.Duration { return 5 * time.Second }

// Peek names an account for the record of a guess that is refused before the lookup.
func (s *table) Peek(name string) *verify.Account { return s.rows[name] }

// OnReload registers who wants to know about reloads.
func (s *table) OnReload(fn func(verify.Reload)) (stop func()) {
	s.reports = append(s.reports, fn)
	return func() { s.reports = nil }
}

// A store of accounts has four methods. The Engine uses the optional interfaces if the store
// implements them.
func ExampleAccounts() {
	store, err := newTable("$2y$05$yao41l1.YIkmZDucz9VZSuO71dgc7/OWzrTJOEh6yba9Syi0UdQFe")
	if err != nil {
		fmt.Println(err)
		return
	}
	gate := verify.NewGate(verify.Limits{Slots: 2})
	engine, err := verify.New(verify.Config{Accounts: store, Gate: gate})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	alice := store.Peek("alice")
	fmt.Println(engine.Entries(), "credentials are remembered")

	// A stream that lasts for hours asks again whether its account is the same.
	account, err := engine.Recheck(ctx, time.Now(), alice, false)
	fmt.Println(account != nil, err)
	delete(store.rows, "alice")
	account, err = engine.Recheck(ctx, time.Now(), alice, false)
	fmt.Println(account != nil, err)

	gate.SetLimits(verify.Limits{Slots: 1}) // other attempts need the processor more
	// Output:
	// 0 credentials are remembered
	// true <nil>
	// false <nil>
}
