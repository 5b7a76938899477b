// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// TestPasswordFingerprint: one wrong password has one fingerprint, on every account, hashed or
// remembered. A right password has none, and another process has other fingerprints.
func TestPasswordFingerprint(t *testing.T) {
	t.Parallel()
	accounts := newStore(&verify.Account{Name: "alice", Password: hashed(t, cheap, "right horse")})
	newEngine := func() *verify.Engine {
		e, err := verify.New(verify.Config{Accounts: accounts, Throttle: throttle.DangerouslyNone{}})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := newEngine()
	ask := func(e *verify.Engine, name, pass string) attempt.Result {
		var res attempt.Result
		e.Verify(t.Context(), time.Now(), field(t, name, pass), home, &res)
		return res
	}
	first := ask(e, "alice", "stale pony")
	if first.PasswordFingerprint == 0 {
		t.Fatal("a wrong password has no fingerprint")
	}
	if again := ask(e, "alice", "stale pony"); again.Cache != attempt.Hit || again.PasswordFingerprint != first.PasswordFingerprint {
		t.Errorf("remembered: %v, fingerprint %x, want %x", again.Cache, again.PasswordFingerprint, first.PasswordFingerprint)
	}
	if other := ask(e, "nobody", "stale pony"); other.PasswordFingerprint != first.PasswordFingerprint {
		t.Errorf("on another account: %x, want %x", other.PasswordFingerprint, first.PasswordFingerprint)
	}
	if other := ask(e, "alice", "stale mule"); other.PasswordFingerprint == first.PasswordFingerprint {
		t.Error("another password has the same fingerprint")
	}
	for range 2 { // hashed, then recognised
		if right := ask(e, "alice", "right horse"); right.Outcome != attempt.Success || right.PasswordFingerprint != 0 {
			t.Errorf("right password: %v, fingerprint %x, want none", right.Outcome, right.PasswordFingerprint)
		}
	}
	if other := ask(newEngine(), "alice", "stale pony"); other.PasswordFingerprint == first.PasswordFingerprint {
		t.Error("another process has the same fingerprint")
	}
}
