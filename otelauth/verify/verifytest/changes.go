// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// change removes, adds and changes accounts while an Engine remembers their credentials.
func change(t testing.TB, s Store) {
	t.Helper()
	store := open(t, s, accounts(t, "alice", "bob", "carol"))
	e := newEngine(t, store)
	for _, name := range []string{"alice", "bob", "carol"} {
		e.want(name, password, "")
	}
	e.want("dave", password, attempt.ReasonUnknownUser)
	after := accounts(t, "alice", "bob", "dave")
	after[1].Hash = argon2id(t, "new")
	s.Change(t, store, after)
	e.afterChange()
	e.want("alice", password, "")
	e.want("bob", password, attempt.ReasonWrongPassword)
	e.want("bob", "new", "")
	e.want("carol", password, attempt.ReasonUnknownUser)
	e.want("dave", password, "")
	if n := store.Len(); n != len(after) {
		t.Errorf("Len() = %d after the change, want %d", n, len(after))
	}
	if s.Lacks.Disabled {
		return
	}
	after[0].Disabled = true
	s.Change(t, store, after)
	e.afterChange()
	e.want("alice", password, attempt.ReasonAccountDisabled)
	after[0].Disabled = false
	s.Change(t, store, after)
	e.afterChange()
	e.want("alice", password, "")
}

// immutable keeps an account across a change of it.
func immutable(t testing.TB, s Store) {
	t.Helper()
	store := open(t, s, accounts(t, "alice"))
	kept := lookup(t, store, "alice")
	if kept == nil {
		t.Fatal("alice is not an account")
	}
	before := *kept
	after := accounts(t, "alice")
	after[0].Hash = argon2id(t, "new")
	after[0].Disabled = !s.Lacks.Disabled
	s.Change(t, store, after)
	lookup(t, store, "alice")
	if kept.Password != before.Password || kept.Disabled != before.Disabled {
		t.Error("the change is visible in an account that Lookup returned before; return a new *Account instead")
	}
}

// reload counts the reports of a Reloader.
func reload(t testing.TB, s Store) {
	t.Helper()
	store := open(t, s, accounts(t, "alice"))
	r, ok := store.(verify.Reloader)
	if !ok {
		return
	}
	var mu sync.Mutex
	var reports []verify.Reload
	stop := r.OnReload(func(r verify.Reload) {
		mu.Lock()
		defer mu.Unlock()
		reports = append(reports, r)
	})
	s.Change(t, store, accounts(t, "alice", "bob"))
	stop()
	mu.Lock()
	n := len(reports)
	if n == 0 || reports[n-1].Err != nil || reports[n-1].Accounts != 2 || reports[n-1].Source == "" {
		t.Errorf("reports of a change to 2 accounts: %+v", reports)
	}
	mu.Unlock()
	s.Change(t, store, accounts(t, "alice"))
	mu.Lock()
	defer mu.Unlock()
	if len(reports) != n {
		t.Error("OnReload calls a function after it was stopped")
	}
}

const goroutines, rounds = 8, 50

// concurrentLookups calls every method at once. The race detector finds unsafe ones.
func concurrentLookups(t testing.TB, s Store) {
	t.Helper()
	store := open(t, s, accounts(t, "alice", "bob"))
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range rounds {
				if a, err := store.Lookup(t.Context(), "alice"); err != nil || a == nil || a.Name != "alice" {
					t.Errorf("Lookup(alice) = %v, %v", a, err)
				}
				if a, err := store.Lookup(t.Context(), fmt.Sprint("nobody", g, i)); err != nil || a != nil {
					t.Errorf("Lookup of an unknown name = %v, %v", a, err)
				}
				if store.Decoy(uint64(i)) == nil || store.Canonical("alice") == "" || store.Len() != 2 {
					t.Error("Decoy, Canonical or Len is wrong")
				}
			}
		})
	}
	all.Wait()
}

// concurrentChanges looks up an unchanged account and a changing one during changes. Neither
// must be missing at any instant.
func concurrentChanges(t testing.TB, s Store) {
	t.Helper()
	versions := [2][]Account{accounts(t, "alice", "bob"), accounts(t, "alice", "bob", "carol")}
	versions[1][1].Hash = argon2id(t, "new")
	store := open(t, s, versions[0])
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for ctx.Err() == nil {
				for _, name := range []string{"alice", "bob"} {
					if a, err := store.Lookup(t.Context(), name); err != nil || a == nil || a.Password == nil {
						t.Errorf("during a change Lookup(%s) = %v, %v", name, a, err)
						return
					}
				}
			}
		})
	}
	for i := range 10 {
		s.Change(t, store, versions[(i+1)%2])
	}
	cancel()
	all.Wait()
}

// canceled looks up names with a context that has ended. A store may answer from memory.
func canceled(t testing.TB, s Store) {
	t.Helper()
	store := open(t, s, accounts(t, "alice"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 10 {
		if a, err := store.Lookup(ctx, "alice"); a == nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Lookup(alice) with a canceled context = nil, %v; want the account or context.Canceled", err)
		}
	}
	if lookup(t, store, "alice") == nil {
		t.Error("alice is not an account after a canceled lookup")
	}
}

// closed closes the store. It may still serve its accounts or fail, but it must not report a known
// name as unknown.
func closed(t testing.TB, s Store) {
	t.Helper()
	store := open(t, s, accounts(t, "alice"))
	c, ok := store.(io.Closer)
	if !ok {
		return
	}
	for range 2 {
		if err := c.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	a, err := store.Lookup(t.Context(), "alice")
	if a == nil && err == nil {
		t.Error("a closed store reports alice as unknown; return the account or an error")
	}
	if _, unknownErr := store.Lookup(t.Context(), "nobody"); (unknownErr == nil) != (err == nil) {
		t.Errorf("a closed store returns the error %v for a known name and %v for an unknown one", err, unknownErr)
	}
	if store.Decoy(1) == nil {
		t.Error("a closed store has no decoys")
	}
}
