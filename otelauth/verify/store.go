// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Accounts is a store of accounts, such as an htpasswd file, a database or a map. It finds the
// stored hash of a name; the [Engine] verifies the password. Implementations are safe for
// concurrent use. Package verifytest tests all of this contract.
type Accounts interface {
	// Lookup returns the account with that name, or nil if there is none. The Engine calls it for
	// every attempt that is not refused, recognised credentials included, so it must answer from
	// memory. A store that needs I/O also implements [Recaller], and its Lookup takes the same
	// time for every name. An error means that the store is down, never that a name is unknown.
	Lookup(ctx context.Context, name string) (*Account, error)
	// Canonical returns the identity of a name, whether or not the account exists. Names that the
	// store treats as one have the same identity.
	Canonical(name string) string
	// Decoy returns a hash that no password matches and that costs the same as a real one of this
	// store. key selects its scheme and cost in the proportions of the store, always the same for
	// the same key. See [password.Mix].
	Decoy(key uint64) *password.Hash
	// Len returns the number of accounts.
	Len() int
}

// Recaller is a store of [Accounts] that needs I/O and can be down. During an outage it may still
// serve credentials that were verified before, and no others. If it answered other attempts from
// memory, a guesser could find out which names are in memory.
type Recaller interface {
	// Recall is Lookup for a credential that was verified before. During an outage it may return
	// what it read last, for a limited time.
	Recall(ctx context.Context, name string) (*Account, error)
	// Staleness returns the maximum age of what Recall returns while the store is up. For that
	// time the Engine does not look up a wrong credential again if the same network repeats it.
	Staleness() time.Duration
}

// Peeker is a store of [Accounts] that can name an account from memory. If a guess is refused
// before the lookup, its record has the account's name only if the store is a Peeker.
type Peeker interface {
	// Peek returns the account with that name if the store has it in memory, or nil. It does no
	// I/O. The result may be out of date; it is for the record and verifies nothing.
	Peek(name string) *Account
}

// Verifier verifies credentials itself, by LDAP, PAM or a remote service. The [Engine] caches its
// successes for [Config.TTL] and never caches its failures. Implementations are safe for
// concurrent use.
type Verifier interface {
	// Verify returns the account of the credentials, or nil if they are wrong. An error means
	// that the service could not answer. Password of the returned Account is ignored and may be
	// nil.
	Verify(ctx context.Context, name string, secret credential.Secret) (*Account, error)
}

// Reload is the result of one reload of a store of accounts.
type Reload struct {
	Source   string    // the file or database
	Time     time.Time // of the reload
	Accounts int       // the number of accounts that are served now
	// Err is why the previous accounts are still served, or which accounts are refused; nil on
	// success.
	Err error
}

// Reloader is a store that reports its reloads.
type Reloader interface {
	// OnReload registers fn, which must not block. stop unregisters it.
	OnReload(fn func(Reload)) (stop func())
}

// Validator is a store whose configuration can be checked before use. [New] calls Validate and
// returns its error, so that a problem is found at start and not by the first client.
type Validator interface {
	// Validate returns all errors, joined, or nil.
	Validate() error
}

// ValidName returns why no account can have this name, or nil. A name must not be empty. It is
// valid UTF-8, without white space at its ends, control characters or a colon. A client cannot
// send a colon in a user-id (RFC 7617 section 2). Every store uses it, so that all stores accept
// the same names. The error does not contain the name.
func ValidName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case !utf8.ValidString(name):
		return errors.New("the name is not valid UTF-8")
	case strings.Contains(name, ":"):
		return errors.New("the name contains a colon")
	case strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("the name contains a control character")
	case strings.TrimSpace(name) != name:
		return errors.New("the name begins or ends with white space")
	}
	return nil
}
