// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// severalHashes stores accounts with different schemes and passwords.
func severalHashes(t testing.TB, s Store) {
	t.Helper()
	all := []Account{
		{Name: "alice", Hash: bcrypt(t, "one")}, {Name: "bob", Hash: argon2id(t, "two")}, {Name: "carol", Hash: bcrypt(t, "three")},
	}
	store := open(t, s, all)
	for i, want := range []string{"one", "two", "three"} {
		for _, pass := range []string{"one", "two", "three"} {
			e := newEngine(t, store)
			e.want(all[i].Name, pass, wantMatch(pass == want))
		}
	}
}

func wantMatch(match bool) attempt.Reason {
	if match {
		return ""
	}
	return attempt.ReasonWrongPassword
}

func groups(t testing.TB, s Store) {
	t.Helper()
	all := accounts(t, "alice", "bob", "carol")
	all[0].Groups, all[1].Groups = []string{"dev", "ops"}, []string{"ops"}
	store := open(t, s, all)
	for _, want := range all {
		a := lookup(t, store, want.Name)
		if a == nil {
			t.Errorf("%s is not an account", want.Name)
			continue
		}
		if got := slices.Sorted(slices.Values(a.Groups)); !slices.Equal(got, want.Groups) {
			t.Errorf("%s is in %q, want %q", want.Name, got, want.Groups)
		}
	}
}

func disabled(t testing.TB, s Store) {
	t.Helper()
	all := accounts(t, "alice", "bob")
	all[1].Disabled = true
	e := newEngine(t, open(t, s, all))
	e.want("alice", password, "")
	e.want("bob", password, attempt.ReasonAccountDisabled)
}

func expired(t testing.TB, s Store) {
	t.Helper()
	all := accounts(t, "alice", "bob", "carol")
	all[1].Expires = start.Add(time.Minute)
	all[2].Expires = start.Add(-time.Minute)
	e := newEngine(t, open(t, s, all))
	e.want("alice", password, "")
	e.want("bob", password, "")
	e.want("carol", password, attempt.ReasonCredentialsExpired)
	e.now = start.Add(time.Minute)
	e.want("alice", password, "")
	e.want("bob", password, attempt.ReasonCredentialsExpired)
}

func previousPassword(t testing.TB, s Store) {
	t.Helper()
	all := accounts(t, "alice", "bob")
	all[0].Previous, all[0].PreviousExpires = argon2id(t, "old"), start.Add(time.Minute)
	all[1].Previous, all[1].PreviousExpires = argon2id(t, "old"), start.Add(-time.Minute)
	e := newEngine(t, open(t, s, all))
	e.want("alice", password, "")
	e.want("alice", "old", "")
	e.want("alice", "other", attempt.ReasonWrongPassword)
	e.want("bob", password, "")
	e.want("bob", "old", attempt.ReasonCredentialsExpired)
	e.now = start.Add(time.Minute)
	e.want("alice", password, "")
	e.want("alice", "old", attempt.ReasonCredentialsExpired)
}

// canary is a secret that must not be in any error.
const canary = "canary-QZXJKVWQ"

// invalidHash stores a plaintext password. The store may refuse all accounts or this one, and must
// not show it.
func invalidHash(t testing.TB, s Store) {
	t.Helper()
	all := accounts(t, "alice", "bob")
	all[1].Hash = canary
	check := func(err error) {
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("an error contains the stored password: %v", err)
		}
	}
	store, err := s.Open(t, all)
	check(err)
	if err != nil {
		return
	}
	if r, ok := store.(verify.Reloader); ok {
		t.Cleanup(r.OnReload(func(r verify.Reload) { check(r.Err) }))
	}
	if v, ok := store.(verify.Validator); ok {
		err := v.Validate()
		check(err)
		if err != nil {
			return
		}
	}
	a, err := store.Lookup(t.Context(), "bob")
	check(err)
	if a != nil && a.Password.Verify([]byte(canary)).Match {
		t.Error("a stored plaintext is accepted as a password")
	}
	newEngine(t, store).want("alice", password, "")
}
