// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// hash is a cheap hash of the password, made once for each.
func hash(t testing.TB, pass string) string {
	t.Helper()
	if h, ok := hashes.Load(pass); ok {
		return h.(string)
	}
	h, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte(pass), nil)
	if err != nil {
		t.Fatal(err)
	}
	hashes.Store(pass, h)
	return h
}

var hashes sync.Map

func accounts(t testing.TB) *verify.Static {
	t.Helper()
	return &verify.Static{
		Hashes: map[string]string{"alice": hash(t, "wonderland"), "bob": hash(t, "builder"), "root": hash(t, "toor")},
		Groups: map[string][]string{"ops": {"root"}},
	}
}

// newMiddleware fills in the accounts where cfg has none.
func newMiddleware(t testing.TB, cfg otelauth.Config) *otelauth.Middleware {
	t.Helper()
	if cfg.Accounts == nil && cfg.Verifier == nil {
		cfg.Accounts = accounts(t)
	}
	mw, err := otelauth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mw.Close() })
	return mw
}

// request comes from loopback; with a name it carries credentials.
func request(t testing.TB, method, target, name, pass string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	r.RemoteAddr = "127.0.0.1:40000"
	if name != "" {
		r.SetBasicAuth(name, pass)
	}
	return r
}
