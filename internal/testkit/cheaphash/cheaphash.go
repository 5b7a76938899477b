// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package cheaphash holds hashes of passwords for tests. It is not in package testkit, which
// imports nothing of this module, so that nested modules need no further requirements.
package cheaphash

import (
	"sync"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

var hashes sync.Map // of passwords

// Of returns the cheapest hash of the password that accounts may have, computed once for each
// password.
func Of(t testing.TB, pass string) string {
	t.Helper()
	if h, ok := hashes.Load(pass); ok {
		return h.(string)
	}
	h, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte(pass), nil)
	if err != nil {
		t.Fatalf("cheaphash: %v", err)
	}
	hashes.Store(pass, h)
	return h
}
