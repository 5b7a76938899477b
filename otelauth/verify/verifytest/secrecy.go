// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"fmt"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// decoys checks that decoys deny, are stable, and have the schemes of the store in its proportions.
func decoys(t testing.TB, s Store) {
	t.Helper()
	var all []Account
	for i := range 9 {
		hash := bcrypt(t, password)
		if i%3 == 0 {
			hash = argon2id(t, password)
		}
		all = append(all, Account{Name: fmt.Sprint("user", i), Hash: hash})
	}
	store := open(t, s, all)
	const keys = 3000
	share := make(map[string]int)
	for key := range uint64(keys) {
		h := store.Decoy(key)
		if h == nil {
			t.Fatalf("Decoy(%d) = nil", key)
		}
		if again := store.Decoy(key); !h.Equal(again) {
			t.Fatalf("Decoy(%d) returns different hashes", key)
		}
		share[h.Scheme()]++
		if key < 20 && (h.Verify([]byte(password)).Match || h.Verify(nil).Match) {
			t.Errorf("a password matches Decoy(%d)", key)
		}
	}
	// A third is 1000. Ten standard deviations are 260.
	if n := share["argon2id"]; n < 740 || n > 1260 || n+share["bcrypt"] != keys {
		t.Errorf("the schemes of %d decoys are %v, want about 1000 of argon2id and 2000 of bcrypt as in the store", keys, share)
	}
}

// samePath compares what the attempts at known and at unknown names do. Their numbers of hashes
// must be equal, at the first try, at a repeat, and for another password.
func samePath(t testing.TB, s Store) {
	t.Helper()
	type step struct {
		outcome attempt.Outcome
		cache   attempt.CacheResult
		scheme  string
	}
	path := func(name string) (steps []step) {
		e := newEngine(t, open(t, s, accounts(t, "alice", "bob")))
		e.try("bob", password) // another account is in use
		for _, pass := range []string{"wrong", "wrong", "other", "wrong", ""} {
			res := e.try(name, pass)
			steps = append(steps, step{res.Outcome, res.Cache, res.Hash.Scheme})
		}
		return steps
	}
	known, unknown := path("alice"), path("nobody")
	for i := range known {
		if known[i] != unknown[i] {
			t.Errorf("guess %d: %+v for an account, and %+v for an unknown name", i, known[i], unknown[i])
		}
	}
}
