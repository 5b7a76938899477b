// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Key is an Ed25519 key that signs checkpoints in the format of golang.org/x/mod/sumdb/note. Make
// it with [GenerateKey] or [ParseKey]. It is immutable.
type Key struct {
	signer   note.Signer
	verifier note.Verifier
	private  string
	public   string
}

// GenerateKey returns a new key for origin, the name of the trail that all its checkpoints bear:
// "host.example/service" for example. An origin has no space and no plus sign. rand is
// crypto/rand.Reader outside of tests.
func GenerateKey(rand io.Reader, origin string) (*Key, error) {
	private, _, err := note.GenerateKey(rand, origin)
	if err != nil {
		return nil, fmt.Errorf("trail: key for %.100q: %w; choose an origin without spaces and plus signs", origin, err)
	}
	return ParseKey(private)
}

// ParseKey parses what [Key.Private] returns: "PRIVATE+KEY+origin+…". Space around it is ignored.
// The error does not contain the text.
func ParseKey(text string) (*Key, error) {
	text = strings.TrimSpace(text)
	signer, err := note.NewSigner(text)
	if err != nil {
		return nil, errors.New("trail: this is not a private key; make one with GenerateKey or \"otelauth trail keygen\"")
	}
	// PRIVATE+KEY+origin+hash+key; the Base64 of the key may have a plus sign.
	parts := strings.SplitN(text, "+", 5)
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return nil, errors.New("trail: this is not an Ed25519 key; make one with GenerateKey or \"otelauth trail keygen\"")
	}
	public, err := note.NewEd25519VerifierKey(signer.Name(), ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("trail: key: %w; make another one", err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return nil, fmt.Errorf("trail: key: %w; make another one", err)
	}
	return &Key{signer: signer, verifier: verifier, private: text, public: public}, nil
}

// Origin returns the name of the trail, the first line of each checkpoint.
func (k *Key) Origin() string { return k.signer.Name() }

// Public returns the key that verifies, "origin+hash+key". It is not secret; keep a copy of it
// outside of the host.
func (k *Key) Public() string { return k.public }

// Private returns the key that signs. It is secret.
func (k *Key) Private() string { return k.private }

// String returns what Public returns, so that a log does not get the private key.
func (k *Key) String() string { return k.public }
