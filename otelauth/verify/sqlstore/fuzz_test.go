// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// FuzzLookup looks up any name in a real database. Only a stored name is an account, and no name
// is an error or changes anything.
func FuzzLookup(f *testing.F) {
	for _, name := range hostile {
		f.Add(name)
	}
	f.Add("alice")
	b := sqlite(f)
	db := b.tables(f)
	b.insert(f, db, "alice", bcryptHash)
	b.insert(f, db, "bob", bcryptHash)
	cfg := b.config(db)
	cfg.TTL = time.Hour
	s := open(f, cfg)
	f.Fuzz(func(t *testing.T, name string) {
		a, err := s.Lookup(t.Context(), name)
		switch {
		case err != nil:
			t.Fatalf("Lookup(%q): %v", name, err)
		case a != nil && a.Name != name:
			t.Fatalf("Lookup(%q) is %q", name, a.Name)
		case a != nil && name != "alice" && name != "bob":
			t.Fatalf("%q is an account", name)
		case a != nil && verify.ValidName(a.Name) != nil:
			t.Fatalf("%q cannot be a name", a.Name)
		}
		if a := lookup(t, s, "alice"); a == nil || a.Disabled {
			t.Fatalf("after %q alice is %v", name, a)
		}
	})
}

// FuzzRow reads whatever a database may hold in an account's row.
func FuzzRow(f *testing.F) {
	f.Add("alice", bcryptHash, "t", "2031-02-03 04:05:06", "ops", int64(1), false)
	f.Add("alice", "plain", "yes", "2031-02-03T04:05:06Z", "", int64(0), true)
	f.Add("", "", "", "", "\x00", int64(-1), false)
	f.Add("Alice", "!unusable", "NULL", "9999-99-99", "ops", int64(2), true)
	b := sqlite(f)
	db := b.tables(f)
	cfg := b.config(db)
	s := open(f, cfg)
	where := layout{columnName: 0, columnPassword: 1, columnActive: 2, columnDisabled: 5, columnExpires: 3, columnGroup: 4}
	f.Fuzz(func(t *testing.T, name, hash, active, expires, group string, disabled int64, asBytes bool) {
		values := []any{name, hash, active, expires, group, disabled}
		if asBytes {
			values = []any{[]byte(name), []byte(hash), []byte(active), []byte(expires), []byte(group), disabled}
		}
		a, err := s.account(where, values)
		if err != nil || a == nil {
			return
		}
		is, known := parseBool(active)
		if !a.Disabled && (a.Password == nil || !is || !known || disabled != 0) {
			t.Fatalf("%+v is open: password %v, active %q, disabled %d", a, a.Password, active, disabled)
		}
		if verify.ValidName(a.Name) != nil || a.Name != name {
			t.Fatalf("%q became %q", name, a.Name)
		}
	})
}
