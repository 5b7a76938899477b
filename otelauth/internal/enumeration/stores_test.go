// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package enumeration

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/accountstores"
	"github.com/otelauth/otelauth-go/otelauth/internal/postgrestest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
	"github.com/otelauth/otelauth-go/otelauth/verify/verifytest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// queryTime is the time of a query on the clock of a synctest bubble, so that a query in a request
// shows in the time of its answer.
const queryTime = time.Millisecond

// user is one account: its name and the stored hash of its password.
type user struct{ name, hash string }

// opener opens a store of accounts in the bubble that serves it.
type opener func(t *testing.T, now func() time.Time, took time.Duration, queries *atomic.Int64) verify.Accounts

// kind is one kind of store.
type kind struct{ accountstores.Kind }

func kinds() (all []kind) {
	for _, k := range accountstores.All() {
		all = append(all, kind{k})
	}
	return all
}

// kindNamed returns the kind with this name.
func kindNamed(t *testing.T, name string) kind {
	t.Helper()
	for _, k := range kinds() {
		if k.Name == name {
			return k
		}
	}
	t.Fatalf("accountstores.All has no %q", name)
	return kind{}
}

// fill stores the users and returns what opens the store.
func (k kind) fill(t *testing.T, users []user) opener {
	t.Helper()
	var accounts []verifytest.Account
	for _, u := range users {
		accounts = append(accounts, verifytest.Account{Name: u.name, Hash: u.hash})
	}
	backing := k.New(t)
	backing.Write(t, accounts)
	return func(t *testing.T, now func() time.Time, took time.Duration, queries *atomic.Int64) verify.Accounts {
		t.Helper()
		store, err := backing.Open(t, accountstores.Options{Now: now, QueryTime: took, Queries: queries})
		if err != nil {
			t.Fatal(err)
		}
		return store
	}
}

// hash returns a stored hash of the password "right".
func (k kind) hash(t *testing.T, cost int) string {
	t.Helper()
	if k.Name != "Django" {
		return encode(t, password.Params{Scheme: "bcrypt", BcryptCost: cost})
	}
	rounds := 1000 << (cost - 4)
	key, err := pbkdf2.Key(sha256.New, "right", []byte("saltsaltsalt"), rounds, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("pbkdf2_sha256$%d$saltsaltsalt$%s", rounds, base64.StdEncoding.EncodeToString(key))
}

// cheap returns a hash of "right" that costs little, for sequences of hundreds of guesses.
func cheap(t *testing.T) string {
	t.Helper()
	return encode(t, password.Params{Scheme: "argon2id", MemoryKiB: 64, Passes: 1, Lanes: 1})
}

// encode returns a hash of "right".
func encode(t *testing.T, p password.Params) string {
	t.Helper()
	encoded, err := p.Hash([]byte("right"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}
