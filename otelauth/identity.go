// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// UserNames selects which attributes identify a user in telemetry. The zero value is [PlainNames].
type UserNames uint8

const (
	// PlainNames emits user.name for names that are accounts, and user.hash for every name.
	PlainNames UserNames = iota
	// HashedNames emits user.hash only.
	HashedNames
	// DangerouslyClaimedNames is PlainNames, and detections also list names that are not accounts,
	// such as "admin". People type passwords into the name field, so these appear there too.
	DangerouslyClaimedNames
)

// IdentityKey keys user.hash, which correlates the attempts on one name without recording the
// name: people type passwords into the name field. Services share a key to have equal hashes. The
// zero IdentityKey has no key.
type IdentityKey struct {
	// ID is the prefix of each hash and identifies its key: 1 to 32 characters of a–z, 0–9, "-"
	// and "_".
	ID string
	// Secret is at least 32 random bytes.
	Secret []byte
	// Previous are keys that are no longer used, for [IdentityKey.Matches]. Their own Previous are
	// ignored.
	Previous []IdentityKey
}

const (
	minSecretBytes = 32
	maxKeyIDBytes  = 32
	userHashBytes  = 16
)

// IsZero reports whether no key is set.
func (k IdentityKey) IsZero() bool { return k.ID == "" && len(k.Secret) == 0 && len(k.Previous) == 0 }

// Hash returns user.hash of a name: the ID, a colon and 32 hexadecimal digits of HMAC-SHA256.
func (k IdentityKey) Hash(name string) string {
	h := hmac.New(sha256.New, k.Secret)
	io.WriteString(h, name)
	return k.ID + ":" + hex.EncodeToString(h.Sum(nil)[:userHashBytes])
}

// Matches reports whether hash is user.hash of name, under this key or one of Previous.
func (k IdentityKey) Matches(hash, name string) bool {
	if len(k.Secret) > 0 && hash == k.Hash(name) {
		return true
	}
	for _, p := range k.Previous {
		if len(p.Secret) > 0 && hash == p.Hash(name) {
			return true
		}
	}
	return false
}

// String returns the ID without the secret.
func (k IdentityKey) String() string { return "IdentityKey(" + k.ID + ")" }

// Format writes what String returns, for every verb.
func (k IdentityKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText returns what String returns; encoding/json and slog call it.
func (k IdentityKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func (k IdentityKey) validate() error {
	if k.IsZero() {
		return nil
	}
	var found problems
	k.check("IdentityKey", &found)
	ids := map[string]bool{k.ID: true}
	for i, p := range k.Previous {
		field := fmt.Sprintf("IdentityKey.Previous[%d]", i)
		p.check(field, &found)
		if ids[p.ID] {
			found.add("Config.%s.ID is used twice; give each key its own id", field)
		}
		ids[p.ID] = true
	}
	return errors.Join(found...)
}

func (k IdentityKey) check(field string, found *problems) {
	if len(k.Secret) < minSecretBytes {
		found.add("Config.%s.Secret has %d bytes; use at least %d random bytes", field, len(k.Secret), minSecretBytes)
	}
	isForbidden := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	if k.ID == "" || len(k.ID) > maxKeyIDBytes || strings.ContainsFunc(k.ID, isForbidden) {
		found.add("Config.%s.ID is invalid; use 1 to %d characters of a-z, 0-9, - and _", field, maxKeyIDBytes)
	}
}

// derive returns a key for one purpose, so that no two purposes share a key.
func (k IdentityKey) derive(purpose string) []byte {
	h := hmac.New(sha256.New, k.Secret)
	io.WriteString(h, "otelauth "+purpose)
	return h.Sum(nil)
}

// randomIdentityKey returns the key of a process without a configured key.
func randomIdentityKey(rand io.Reader) (IdentityKey, error) {
	var id [4]byte
	k := IdentityKey{Secret: make([]byte, minSecretBytes)}
	if _, err := io.ReadFull(rand, k.Secret); err != nil {
		return k, fmt.Errorf("otelauth: cannot read randomness for an identity key; check Config.Rand: %w", err)
	}
	if _, err := io.ReadFull(rand, id[:]); err != nil {
		return k, fmt.Errorf("otelauth: cannot read randomness for an identity key; check Config.Rand: %w", err)
	}
	k.ID = "r-" + hex.EncodeToString(id[:])
	return k, nil
}
