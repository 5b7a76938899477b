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

// UserNames says what signals tell of a user. The zero value is [PlainNames].
type UserNames uint8

const (
	// PlainNames tells user.name for names that are accounts, and user.hash for all.
	PlainNames UserNames = iota
	// HashedNames tells user.hash only.
	HashedNames
)

// IdentityKey keys user.hash, by which attempts on one name are correlated without telling it: people type passwords into
// the name field. Services that must correlate share a key. The zero IdentityKey has none.
type IdentityKey struct {
	// ID stands before each hash and names its key: 1 to 32 characters of a–z, 0–9, "-" and "_".
	ID string
	// Secret is at least 32 random octets.
	Secret []byte
	// Former are keys that are not used any longer, for [IdentityKey.Matches]; their own Former are not looked at.
	Former []IdentityKey
}

const (
	minSecretBytes = 32
	maxKeyIDBytes  = 32
	userHashBytes  = 16
)

// IsZero reports whether no key is set.
func (k IdentityKey) IsZero() bool { return k.ID == "" && len(k.Secret) == 0 && len(k.Former) == 0 }

// Hash returns user.hash of a name: "id:" and 32 hexadecimal digits of its HMAC-SHA256.
func (k IdentityKey) Hash(name string) string {
	h := hmac.New(sha256.New, k.Secret)
	io.WriteString(h, name)
	return k.ID + ":" + hex.EncodeToString(h.Sum(nil)[:userHashBytes])
}

// Matches reports whether hash is user.hash of name, under this key or a former one.
func (k IdentityKey) Matches(hash, name string) bool {
	if len(k.Secret) > 0 && hash == k.Hash(name) {
		return true
	}
	for _, f := range k.Former {
		if len(f.Secret) > 0 && hash == f.Hash(name) {
			return true
		}
	}
	return false
}

// String never shows a secret.
func (k IdentityKey) String() string { return "IdentityKey(" + k.ID + ")" }

// Format never shows a secret, whatever the verb.
func (k IdentityKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, k.String()) }

// MarshalText never shows a secret; encoding/json and slog use it.
func (k IdentityKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

func (k IdentityKey) validate() error {
	if k.IsZero() {
		return nil
	}
	faults := []error{k.check("IdentityKey")}
	ids := map[string]bool{k.ID: true}
	for i, f := range k.Former {
		place := fmt.Sprintf("IdentityKey.Former[%d]", i)
		faults = append(faults, f.check(place))
		if ids[f.ID] {
			faults = append(faults, fmt.Errorf("otelauth: Config.%s.ID is used twice; each key needs an id of its own", place))
		}
		ids[f.ID] = true
	}
	return errors.Join(faults...)
}

func (k IdentityKey) check(place string) error {
	var faults []error
	if len(k.Secret) < minSecretBytes {
		faults = append(faults, fmt.Errorf("otelauth: Config.%s.Secret has %d octets; give it at least %d random ones",
			place, len(k.Secret), minSecretBytes))
	}
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	if k.ID == "" || len(k.ID) > maxKeyIDBytes || strings.ContainsFunc(k.ID, odd) {
		faults = append(faults, fmt.Errorf("otelauth: Config.%s.ID is not 1 to %d characters of a-z, 0-9, - and _",
			place, maxKeyIDBytes))
	}
	return errors.Join(faults...)
}

// derive returns a key for another purpose, so that no two uses share one.
func (k IdentityKey) derive(purpose string) []byte {
	h := hmac.New(sha256.New, k.Secret)
	io.WriteString(h, "otelauth "+purpose)
	return h.Sum(nil)
}

// randomIdentityKey is what a service without a configured key uses until it ends.
func randomIdentityKey(rand io.Reader) (IdentityKey, error) {
	var id [4]byte
	k := IdentityKey{Secret: make([]byte, minSecretBytes)}
	if _, err := io.ReadFull(rand, k.Secret); err != nil {
		return k, fmt.Errorf("otelauth: no randomness for an identity key: %w", err)
	}
	if _, err := io.ReadFull(rand, id[:]); err != nil {
		return k, fmt.Errorf("otelauth: no randomness for an identity key: %w", err)
	}
	k.ID = "r-" + hex.EncodeToString(id[:])
	return k, nil
}
