// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verifytest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
	"github.com/otelauth/otelauth-go/otelauth/verify/verifytest"
)

// mutant is a store with one defect. Its nil fields are those of the registry.
type mutant struct {
	*registry
	lookup    func(r *registry, ctx context.Context, name string) (*verify.Account, error)
	canonical func(name string) string
	decoy     func(r *registry, key uint64) *password.Hash
	size      func(r *registry) int
}

func (m *mutant) Lookup(ctx context.Context, name string) (*verify.Account, error) {
	if m.lookup != nil {
		return m.lookup(m.registry, ctx, name)
	}
	return m.registry.Lookup(ctx, name)
}

func (m *mutant) Canonical(name string) string {
	if m.canonical != nil {
		return m.canonical(name)
	}
	return m.registry.Canonical(name)
}

func (m *mutant) Decoy(key uint64) *password.Hash {
	if m.decoy != nil {
		return m.decoy(m.registry, key)
	}
	return m.registry.Decoy(key)
}

func (m *mutant) Len() int {
	if m.size != nil {
		return m.size(m.registry)
	}
	return m.registry.Len()
}

// changed returns a Lookup that changes each account that it returns.
func changed(change func(a *verify.Account)) func(*registry, context.Context, string) (*verify.Account, error) {
	return func(r *registry, ctx context.Context, name string) (*verify.Account, error) {
		a, err := r.Lookup(ctx, name)
		if a != nil {
			other := *a
			change(&other)
			a = &other
		}
		return a, err
	}
}

var errUnknown = errors.New("unknown name")

// mutants are stores with one defect each, by the part of the contract that must find it.
var mutants = map[string]mutant{
	"known names": {size: func(r *registry) int { return r.Len() + 1 }},
	"unknown names": {lookup: func(r *registry, ctx context.Context, name string) (*verify.Account, error) {
		if a, _ := r.Lookup(ctx, name); a != nil {
			return a, nil
		}
		return nil, errUnknown
	}},
	"one account has one identity": {lookup: func(r *registry, ctx context.Context, name string) (*verify.Account, error) {
		return r.Lookup(ctx, strings.ToLower(name))
	}},
	"several hashes": {lookup: func(r *registry, ctx context.Context, name string) (*verify.Account, error) {
		a, err := r.Lookup(ctx, name)
		if a != nil {
			other := *a
			other.Password = r.current.Load().accounts[r.names()[0]].Password
			a = &other
		}
		return a, err
	}},
	"groups":            {lookup: changed(func(a *verify.Account) { a.Groups = nil })},
	"disabled":          {lookup: changed(func(a *verify.Account) { a.Disabled = false })},
	"expired":           {lookup: changed(func(a *verify.Account) { a.Expires = a.PreviousExpires })},
	"previous password": {lookup: changed(func(a *verify.Account) { a.PreviousExpires = a.Expires })},
	"concurrent use":    {canonical: func(string) string { return "" }},
	"decoys":            {decoy: func(*registry, uint64) *password.Hash { return new(password.Mix).Decoy(1) }},
	"unknown names take the path of known ones": {decoy: func(*registry, uint64) *password.Hash { return new(password.Hash) }},
	"a canceled context": {lookup: func(r *registry, ctx context.Context, name string) (*verify.Account, error) {
		if ctx.Err() != nil {
			return nil, nil
		}
		return r.Lookup(ctx, name)
	}},
}

// TestMutants breaks the registry in one way after the other. The suite must find each defect in
// the part that is made for it.
func TestMutants(t *testing.T) {
	t.Parallel()
	for part, m := range mutants {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			s := contract
			s.Open = func(t testing.TB, accounts []verifytest.Account) (verify.Accounts, error) {
				t.Helper()
				store, err := contract.Open(t, accounts)
				if err != nil {
					return nil, err
				}
				broken := m
				broken.registry = store.(*registry) //nolint:forcetypeassert // of contract.Open
				return &broken, nil
			}
			s.Change = func(t testing.TB, store verify.Accounts, accounts []verifytest.Account) {
				t.Helper()
				contract.Change(t, store.(*mutant).registry, accounts) //nolint:forcetypeassert // of Open
			}
			wantFailure(t, part, s)
		})
	}
}

func wantFailure(t *testing.T, part string, s verifytest.Store) {
	t.Helper()
	if errs := verifytest.Errors(t, part, s); len(errs) == 0 {
		t.Error("the suite did not find the defect")
	}
}

// closing is a registry that can be closed, and then reports every name as unknown.
type closing struct {
	*registry
	closed bool
}

func (c *closing) Close() error {
	c.closed = true
	return nil
}

func (c *closing) Lookup(ctx context.Context, name string) (*verify.Account, error) {
	if c.closed {
		return nil, nil
	}
	return c.registry.Lookup(ctx, name)
}

var _ io.Closer = (*closing)(nil)

// silent is a registry that never reports its reloads.
type silent struct{ *registry }

func (silent) OnReload(func(verify.Reload)) (stop func()) { return func() {} }

// gap is a registry that has no accounts for an instant, at its first change.
type gap struct {
	*registry
	noticed atomic.Bool
}

func (g *gap) Lookup(ctx context.Context, name string) (*verify.Account, error) {
	a, err := g.registry.Lookup(ctx, name)
	if a == nil {
		g.noticed.Store(true)
	}
	return a, err
}

func changeWithGap(t testing.TB, store verify.Accounts, accounts []verifytest.Account) {
	t.Helper()
	g := store.(*gap) //nolint:forcetypeassert // of Open
	contract.Change(t, g.registry, nil)
	for !g.noticed.Load() { // the suite looks up all the time
		runtime.Gosched()
	}
	contract.Change(t, g.registry, accounts)
}

// TestBrokenChanges breaks how a store opens, changes and closes.
func TestBrokenChanges(t *testing.T) {
	t.Parallel()
	for part, s := range brokenChanges() {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			wantFailure(t, part, s)
		})
	}
}

// brokenChanges returns stores with one defect each, by the part of the contract that must find it.
func brokenChanges() map[string]verifytest.Store {
	ignore := func(testing.TB, verify.Accounts, []verifytest.Account) {}
	wrap := func(wrapper func(*registry) verify.Accounts) func(testing.TB, []verifytest.Account) (verify.Accounts, error) {
		return func(t testing.TB, accounts []verifytest.Account) (verify.Accounts, error) {
			t.Helper()
			store, err := contract.Open(t, accounts)
			if err != nil {
				return nil, err
			}
			return wrapper(store.(*registry)), nil //nolint:forcetypeassert // of contract.Open
		}
	}
	return map[string]verifytest.Store{
		"a change takes effect": {Open: contract.Open, Change: ignore},
		"a returned account never changes": {Open: contract.Open, Change: func(_ testing.TB, store verify.Accounts, accounts []verifytest.Account) {
			store.(*registry).current.Load().accounts["alice"].Disabled = accounts[0].Disabled //nolint:forcetypeassert // of Open
		}},
		"a reload is reported": {Change: ignore, Open: wrap(func(r *registry) verify.Accounts { return silent{r} })},
		"concurrent changes":   {Open: wrap(func(r *registry) verify.Accounts { return &gap{registry: r} }), Change: changeWithGap},
		"close":                {Open: wrap(func(r *registry) verify.Accounts { return &closing{registry: r} })},
		"an invalid hash": {Open: func(t testing.TB, accounts []verifytest.Account) (verify.Accounts, error) {
			t.Helper()
			store, err := contract.Open(t, accounts)
			if err != nil {
				return nil, fmt.Errorf("%w: %s", err, accounts[1].Hash)
			}
			return store, nil
		}},
	}
}

// TestEveryPartHasAMutant: a part that has never failed may be one that cannot fail.
func TestEveryPartHasAMutant(t *testing.T) {
	t.Parallel()
	broken := brokenChanges()
	for _, part := range verifytest.Parts() {
		_, isMutant := mutants[part]
		if _, isBroken := broken[part]; !isMutant && !isBroken {
			t.Errorf("no mutant fails the part %q: add one to mutants or brokenChanges", part)
		}
	}
}
