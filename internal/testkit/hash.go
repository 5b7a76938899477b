// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit

import (
	"sync"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

var hashes sync.Map // of passwords

// Hash returns the cheapest hash of the password that accounts may have, computed once for each
// password.
func Hash(t testing.TB, pass string) string {
	t.Helper()
	if h, ok := hashes.Load(pass); ok {
		return h.(string)
	}
	h, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte(pass), nil)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	hashes.Store(pass, h)
	return h
}
