// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Hashes made by Apache's htpasswd -nbB -C 10 and argon2 -id -t 2 -k 19456 -p 1 -l 32.
const (
	wonderland = "$2y$10$WJkiL6lQ418rEeuyYC3hL.vj9hspEwCQFz/4yehy/VZwmGIMEzoLW"
	builder    = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$VhxavleEsqL8LcUM3IdDIkymqGCd05cIoS+tZN/883A"
)

func TestStaticLookupIsExactAndStable(t *testing.T) {
	t.Parallel()
	s := &verify.Static{
		Hashes: map[string]string{"alice": wonderland, "bob": builder},
		Groups: map[string][]string{"ops": {"bob", "bob"}, "dev": {"bob", "alice"}},
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, groups := range map[string][]string{"alice": {"dev"}, "bob": {"dev", "ops"}} {
		a, err := s.Lookup(t.Context(), name)
		if err != nil || a == nil || a.Name != name || a.Password == nil {
			t.Fatalf("%q: %v, %v", name, a, err)
		}
		if diff := cmp.Diff(groups, a.Groups); diff != "" {
			t.Error(diff)
		}
		if again, _ := s.Lookup(t.Context(), name); again != a {
			t.Errorf("%q is another account at the second lookup", name)
		}
	}
	for _, name := range []string{"", "Alice", "alice ", "carol"} {
		if a, err := s.Lookup(t.Context(), name); a != nil || err != nil || s.Canonical(name) != name {
			t.Errorf("%q: %v, %v", name, a, err)
		}
	}
	if s.Len() != 2 || s.Decoy(3) == nil {
		t.Errorf("Len %d, decoy %v", s.Len(), s.Decoy(3))
	}
}

func TestStaticReportsEveryProblemAndNoHash(t *testing.T) {
	t.Parallel()
	const typed = "correct horse battery staple"
	s := &verify.Static{
		Hashes: map[string]string{"": wonderland, "alice": typed, "b\x00b": wonderland, "carol": wonderland, "zo\xeb": wonderland},
		Groups: map[string][]string{"": {"carol"}, "ops": {"alice", "carol", "dave"}},
	}
	err := s.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	for i, want := range []string{
		`verify: Static.Hashes[""]: the name is empty`,
		`verify: Static.Hashes["alice"]: `,
		`verify: Static.Hashes["b\x00b"]: the name contains a control character`,
		`verify: Static.Hashes["zo\xeb"]: the name is not valid UTF-8`,
		`verify: Static.Groups has a group without a name: name it or remove it`,
		`verify: Static.Groups["ops"]: "dave" is not an account in Static.Hashes: add it there or remove it here`,
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("line %d is not %q:\n%v", i, want, err)
		}
	}
	if len(lines) != 6 || strings.Contains(err.Error(), typed) || strings.Contains(err.Error(), wonderland) {
		t.Errorf("got %v", err)
	}
	// One bad account makes the whole store unusable, also for carol.
	if a, got := s.Lookup(t.Context(), "carol"); a != nil || got == nil || got.Error() != err.Error() || s.Len() != 0 {
		t.Errorf("%v, %v, Len %d", a, got, s.Len())
	}
	if s.Decoy(1) == nil {
		t.Error("no decoy")
	}
}

func TestStaticZeroValueHasNoAccounts(t *testing.T) {
	t.Parallel()
	var s verify.Static
	if a, err := s.Lookup(t.Context(), "alice"); a != nil || err == nil || s.Len() != 0 || s.Decoy(1) == nil {
		t.Errorf("%v, %v", a, err)
	}
	if err := s.Validate(); err == nil || err.Error() != "verify: Static.Hashes is empty, so no client could log in: add an account" {
		t.Errorf("got %v", err)
	}
}

// TestStaticFirstUseIsConcurrent: many requests may use a new Static at once. Another project
// read its map of accounts without a lock during a reload.
func TestStaticFirstUseIsConcurrent(t *testing.T) {
	t.Parallel()
	s := &verify.Static{Hashes: map[string]string{"alice": wonderland}}
	var found [8]*verify.Account
	var wg sync.WaitGroup
	for i := range found {
		wg.Go(func() {
			found[i], _ = s.Lookup(t.Context(), "alice")
			_, _ = s.Decoy(uint64(i)), s.Len()
		})
	}
	wg.Wait()
	for _, a := range found {
		if a == nil || a != found[0] {
			t.Fatal("not the same account")
		}
	}
}

// Not parallel: AllocsPerRun counts the allocations of the whole process.
func TestStaticLookupDoesNotAllocate(t *testing.T) {
	var store verify.Accounts = &verify.Static{Hashes: map[string]string{"alice": wonderland}}
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { _, _ = store.Lookup(ctx, "alice") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
