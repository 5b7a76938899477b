// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verifytest_test

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
	"github.com/otelauth/otelauth-go/otelauth/verify/verifytest"
)

// registry is the account store of an application. It keeps all accounts in memory and replaces them
// as a whole, so Lookup needs no lock.
type registry struct{ current atomic.Pointer[version] }

type version struct {
	accounts map[string]*verify.Account
	mix      *password.Mix
}

func (r *registry) Lookup(_ context.Context, name string) (*verify.Account, error) {
	return r.current.Load().accounts[name], nil
}

func (r *registry) Canonical(name string) string { return name }

func (r *registry) Decoy(key uint64) *password.Hash { return r.current.Load().mix.Decoy(key) }

func (r *registry) Len() int { return len(r.current.Load().accounts) }

// set replaces all accounts.
func (r *registry) set(accounts []verifytest.Account) error {
	v := &version{accounts: make(map[string]*verify.Account)}
	var hashes []*password.Hash
	for _, a := range accounts {
		hash, err := password.Parse(a.Hash)
		if err != nil {
			return err
		}
		if a.Previous != "" {
			previous, err := password.Parse(a.Previous)
			if err != nil {
				return err
			}
			hash = hash.WithPrevious(previous)
		}
		v.accounts[a.Name] = &verify.Account{
			Name: a.Name, Password: hash, Groups: slices.Clone(a.Groups),
			Disabled: a.Disabled, Expires: a.Expires, PreviousExpires: a.PreviousExpires,
		}
		hashes = append(hashes, hash)
	}
	v.mix = password.NewMix(slices.Values(hashes))
	r.current.Store(v)
	return nil
}

// contract is the registry as the suite opens and changes it.
var contract = verifytest.Store{
	Open: func(_ testing.TB, accounts []verifytest.Account) (verify.Accounts, error) {
		r := new(registry)
		if err := r.set(accounts); err != nil {
			return nil, err
		}
		return r, nil
	},
	Change: func(t testing.TB, store verify.Accounts, accounts []verifytest.Account) {
		t.Helper()
		if err := store.(*registry).set(accounts); err != nil { //nolint:forcetypeassert // of Open
			t.Fatal(err)
		}
	},
}

// Test the store of an application in one call.
func ExampleRun() {
	// In a file of tests: func TestContract(t *testing.T)
	_ = func(t *testing.T) { //nolint:thelper // this is the test itself
		verifytest.Run(t, contract)
	}
	// Output:
}
