// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	hashes "github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// password is the password of accounts.
const password = "right"

// start is the time at which an engine begins.
var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// hash returns an encoded hash with a low cost. It computes each hash once.
func hash(t testing.TB, p hashes.Params, pass string) string {
	t.Helper()
	type key struct {
		params hashes.Params
		pass   string
	}
	if encoded, found := computed.Load(key{p, pass}); found {
		return encoded.(string) //nolint:forcetypeassert // only strings are stored
	}
	encoded, err := p.Hash([]byte(pass), nil)
	if err != nil {
		t.Fatal(err)
	}
	computed.Store(key{p, pass}, encoded)
	return encoded
}

var computed sync.Map

func bcrypt(t testing.TB, pass string) string {
	t.Helper()
	return hash(t, hashes.Params{Scheme: "bcrypt", BcryptCost: 4}, pass)
}

func argon2id(t testing.TB, pass string) string {
	t.Helper()
	return hash(t, hashes.Params{Scheme: "argon2id", MemoryKiB: 64, Passes: 1, Lanes: 1}, pass)
}

// accounts returns accounts with these names, whose password is password.
func accounts(t testing.TB, names ...string) (all []Account) {
	t.Helper()
	for _, name := range names {
		all = append(all, Account{Name: name, Hash: bcrypt(t, password)})
	}
	return all
}

func open(t testing.TB, s Store, all []Account) verify.Accounts {
	t.Helper()
	store, err := s.Open(t, all)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return store
}

func lookup(t testing.TB, store verify.Accounts, name string) *verify.Account {
	t.Helper()
	a, err := store.Lookup(t.Context(), name)
	if err != nil {
		t.Fatalf("Lookup(%.40q): %v", name, err)
	}
	return a
}

// engine verifies credentials at a time that the test sets.
type engine struct {
	t     testing.TB
	of    *verify.Engine
	store verify.Accounts
	now   time.Time
}

func newEngine(t testing.TB, store verify.Accounts) *engine {
	t.Helper()
	e := &engine{t: t, store: store, now: start}
	var err error
	// The entries outlive the test, so that it sees what the store says and not that an entry
	// expired.
	e.of, err = verify.New(verify.Config{Accounts: store, TTL: time.Hour, Now: func() time.Time { return e.now }})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// afterChange advances the clock by the time for which the Engine does not look up a wrong
// credential again.
func (e *engine) afterChange() {
	if r, ok := e.store.(verify.Recaller); ok {
		e.now = e.now.Add(r.Staleness())
	}
}

func (e *engine) try(name, pass string) (res attempt.Result) {
	e.t.Helper()
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(name, pass)
	field, defect := credential.Split(r.Header, 0)
	if defect != credential.NoDefect {
		e.t.Fatalf("credentials of %q: %v", name, defect)
	}
	e.of.Verify(e.t.Context(), e.now, field, netip.MustParsePrefix("192.0.2.1/32"), &res)
	return res
}

// want verifies a credential twice: hashed, and remembered. reason "" means that it is right.
func (e *engine) want(name, pass string, reason attempt.Reason) {
	e.t.Helper()
	for _, when := range []string{"first", "again"} {
		res := e.try(name, pass)
		if (res.Outcome == attempt.Success) != (reason == "") || res.Reason != reason {
			e.t.Errorf("%s with the password %q, %s: %v, reason %q, error %v; want reason %q",
				name, pass, when, res.Outcome, res.Reason, res.Err, reason)
		}
	}
}
