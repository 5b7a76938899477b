// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Accounts finds the stored hash of a name, and otelauth verifies it: a htpasswd
// file, a database, a map in code. Implementations are safe for concurrent use.
type Accounts interface {
	// Lookup returns the account of that name, or nil when there is none. It is asked on every
	// attempt that is not refused, recognised credentials included, so it answers from memory; a
	// store that needs I/O is a [Recaller] too, and its Lookup takes the same time for every name.
	// An error means that the store is down, never that a name is unknown.
	Lookup(ctx context.Context, name string) (*Account, error)
	// Canonical returns the identity that a name resolves to, whether or not there is such an
	// account: what the store treats as one name is one identity.
	Canonical(name string) string
	// Decoy returns a hash that no password matches and that costs what a real one of this store costs.
	// Its scheme and cost are chosen by key in the proportions of the store, always the same for the same key.
	Decoy(key uint64) *password.Hash
	// Len is the number of accounts.
	Len() int
}

// Recaller is a store of [Accounts] that needs I/O, and can be down. What was verified before may
// go on for a while then, and nothing else: an answer for any name that the store still remembers
// would tell a guesser which names those are.
type Recaller interface {
	// Recall is Lookup for a credential that was verified as right before. While the store is down it may answer with what it
	// read last, for a stated time.
	Recall(ctx context.Context, name string) (*Account, error)
	// Staleness is how old what Recall returns may be while the store is up. For as long, a
	// credential that was wrong is not asked about again when the same network sends it again.
	Staleness() time.Duration
}

// Peeker is a store of [Accounts] that can say whose name it is without asking anywhere. A guess
// that is refused before the store is asked bears the account's name in its record by this alone.
type Peeker interface {
	// Peek returns the account of that name as far as the store holds it in memory, or nil. It
	// does no I/O. The account may be out of date: it names an account and verifies nothing.
	Peek(name string) *Account
}

// Verifier decides by itself who is right: LDAP, PAM, a remote service. Its
// successes are cached by time alone, its failures are not cached. Implementations are safe for concurrent use.
type Verifier interface {
	// Verify returns the account that the credentials belong to, or nil when they are wrong. An
	// error means that the question could not be answered. Password of the returned Account is ignored and may be nil.
	Verify(ctx context.Context, name string, secret credential.Secret) (*Account, error)
}

// Reload says that a store of accounts was read again.
type Reload struct {
	Source   string    // the file or database
	Time     time.Time // when
	Accounts int       // how many accounts are served now
	Err      error     // why the previous accounts are still served, or which of the new ones let nobody in; nil when all is well
}

// Reloader is a store that tells of its reloads.
type Reloader interface {
	// OnReload registers fn, which must not block, and returns what ends it.
	OnReload(fn func(Reload)) (stop func())
}
