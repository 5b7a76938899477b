// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// TestCVE_2026_41263_and_GHSA_g3hg_j4jv_cwfr: a dummy hash that was empty, or could not be
// parsed, made unknown names 130 times as fast as known ones. Here an unknown name runs a whole
// hash of a scheme in the store at its first try, and no hash at a repeat, like a wrong password.
// No password matches a decoy, not even the empty one.
func TestCVE_2026_41263_and_GHSA_g3hg_j4jv_cwfr(t *testing.T) {
	t.Parallel()
	argon := password.Params{Scheme: "argon2id", MemoryKiB: 64, Passes: 1, Lanes: 1}
	var accounts []*verify.Account
	for i := range 8 {
		params := cheap
		if i%2 == 1 {
			params = argon
		}
		accounts = append(accounts, &verify.Account{Name: fmt.Sprintf("known%02d", i), Password: hashed(t, params, "wonderland")})
	}
	e := newEngine(t, verify.Config{Accounts: newStore(accounts...)})

	type work struct {
		Outcome   attempt.Outcome
		ErrorType attempt.ErrorType
		Cache     attempt.CacheResult
		Ran       bool
	}
	schemes := make(map[string]int)
	tried := func(name, pass string) (both [2]work) {
		t.Helper()
		for i := range both {
			res := try(t, e, field(t, name, pass), home)
			both[i] = work{res.Outcome, res.ErrorType, res.Cache, res.Hash.Ran()}
			if res.Hash.Ran() {
				schemes[res.Hash.Scheme]++
			}
		}
		return both
	}
	for _, pass := range []string{"looking-glass", ""} {
		want := [2]work{
			{attempt.Failure, attempt.InvalidCredentials, attempt.Miss, true},
			{attempt.Failure, attempt.InvalidCredentials, attempt.Hit, false},
		}
		if diff := cmp.Diff(want, tried("known00", pass)); diff != "" {
			t.Fatalf("known name, password of %d bytes (-want +got):\n%s", len(pass), diff)
		}
		clear(schemes)
		for i := range 32 {
			if diff := cmp.Diff(want, tried(fmt.Sprintf("other%02d", i), pass)); diff != "" {
				t.Fatalf("unknown name, password of %d bytes (-want +got):\n%s", len(pass), diff)
			}
		}
		if schemes["bcrypt"] == 0 || schemes["argon2id"] == 0 || len(schemes) != 2 {
			t.Errorf("unknown names were hashed by %v; the store holds as many of bcrypt as of argon2id", schemes)
		}
	}
}
