// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verifytest

import (
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// hostileNames are names that are not accounts. They could confuse a parser, a query or a
// comparison.
var hostileNames = []string{
	"", " ", " alice", "alice ", "alice\t", "alice\x00", "\x00", "alice\n", "alice\r\n", "\xff\xfe", "alice:x", "#alice",
	"ALICE", "Alice", "ａlice", "al\u0131ce", "alice\u200b", "\u202ealice", "a\u006cice\u0301", "zoe\u0308",
	"alice'--", "' OR '1'='1", `alice" OR "a"="a`, "'; DROP TABLE users; --", "alice;x", "%", "_lice", "ali%", "*", "alice*", "(alice)",
	"\\", "$1", "?", ":name", "@p1", "NULL", "1", "0", "true", "../alice", "alice/x", "{{7*7}}", "${alice}",
	strings.Repeat("a", 300), strings.Repeat("ä", 300), strings.Repeat("\U0001F600", 4096),
}

// storedNames are valid names that are hard to keep.
var storedNames = []string{"alice", "bob", "Zoë 漢", "o'hara", "a@example.com", "50%", "a.b-c_d+e", "\\back", `"quoted"`}

func knownNames(t testing.TB, s Store) {
	t.Helper()
	store := open(t, s, accounts(t, storedNames...))
	if n := store.Len(); n != len(storedNames) {
		t.Errorf("Len() = %d, want %d", n, len(storedNames))
	}
	for _, name := range storedNames {
		a := lookup(t, store, name)
		if a == nil {
			t.Errorf("Lookup(%q) = nil, want the account", name)
			continue
		}
		if a.Name != name {
			t.Errorf("Lookup(%q) is the account %q", name, a.Name)
		}
		if a.Password == nil || !a.Password.Verify([]byte(password)).Match || a.Password.Verify([]byte("wrong")).Match {
			t.Errorf("%q: the right password must match, and no other", name)
		}
		if a.Disabled || !a.Expires.IsZero() || !a.PreviousExpires.IsZero() || len(a.Groups) != 0 {
			t.Errorf("%q: %+v, want no settings and no groups", name, *a)
		}
		if p, ok := store.(verify.Peeker); ok {
			if peeked := p.Peek(name); peeked != nil && peeked.Name != name {
				t.Errorf("Peek(%q) is the account %q", name, peeked.Name)
			}
		}
		if r, ok := store.(verify.Recaller); ok {
			recalled, err := r.Recall(t.Context(), name)
			if err != nil || recalled == nil || recalled.Name != name || !recalled.Password.Equal(a.Password) {
				t.Errorf("Recall(%q) = %v, %v; want the account of Lookup", name, recalled, err)
			}
			if r.Staleness() <= 0 {
				t.Errorf("Staleness() = %v, want more than 0", r.Staleness())
			}
		}
	}
}

func unknownNames(t testing.TB, s Store) {
	t.Helper()
	store := open(t, s, accounts(t, "alice"))
	for _, name := range append([]string{"nobody"}, hostileNames...) {
		a, err := store.Lookup(t.Context(), name)
		if err != nil {
			t.Errorf("Lookup(%.40q) returns the error %v; an unknown name must not be an error", name, err)
		}
		// A store may accept other spellings of alice, if Canonical says so.
		if a != nil && store.Canonical(name) != store.Canonical("alice") {
			t.Errorf("Lookup(%.40q) is the account %q", name, a.Name)
		}
		if a != nil && verify.ValidName(name) != nil {
			t.Errorf("Lookup(%.40q) is an account, but verify.ValidName refuses the name", name)
		}
		if p, ok := store.(verify.Peeker); ok && a == nil && p.Peek(name) != nil {
			t.Errorf("Peek(%.40q) is an account", name)
		}
		if r, ok := store.(verify.Recaller); ok {
			if recalled, err := r.Recall(t.Context(), name); err != nil || (recalled == nil) != (a == nil) {
				t.Errorf("Recall(%.40q) = %v, %v; want the result of Lookup", name, recalled, err)
			}
		}
	}
	if lookup(t, store, "alice") == nil {
		t.Error("alice is not an account after the other lookups")
	}
}

// identities checks Canonical: names of one account must share their guess budget, and other names
// must not.
func identities(t testing.TB, s Store) {
	t.Helper()
	store := open(t, s, accounts(t, "alice", "bob"))
	if store.Canonical("alice") == store.Canonical("bob") {
		t.Error("Canonical is the same for alice and bob")
	}
	for _, name := range append([]string{"alice", "bob", "nobody"}, hostileNames...) {
		canonical := store.Canonical(name)
		if again := store.Canonical(name); again != canonical {
			t.Errorf("Canonical(%.40q) is %.40q, then %.40q", name, canonical, again)
		}
		if again := store.Canonical(canonical); again != canonical {
			t.Errorf("Canonical(%.40q) is %.40q, whose Canonical is %.40q", name, canonical, again)
		}
		if a := lookup(t, store, name); a != nil && store.Canonical(a.Name) != canonical {
			t.Errorf("%.40q is the account %q, but has another Canonical: each spelling would have its own guess budget", name, a.Name)
		}
	}
}
