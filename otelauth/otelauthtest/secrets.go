// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest

import (
	"fmt"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/internal/leak"
)

// Leak is one place where a secret was found. It does not hold the secret.
type Leak struct {
	// Secret is the index of the secret among those searched for.
	Secret int
	// Form is the encoding: "plain", "base64", "SHA-256 as hexadecimal", ….
	Form string
	// Offset is the position in the data, in bytes.
	Offset int
}

// NoSecrets fails t for each secret in the telemetry of rec. It searches the OTLP exports of all
// spans, metrics and events for the forms of [Leaks]. Pass each password that the test sent; it
// also finds the pair user-id:password and its base64.
func NoSecrets(t testing.TB, rec *Recorder, secrets ...string) {
	t.Helper()
	data, err := rec.OTLP()
	if err != nil {
		t.Error(err)
		return
	}
	NoSecretsIn(t, "what was exported", data, secrets...)
}

// NoSecretsIn fails t for each secret in data, such as standard output, a heap dump or a response.
// what describes the data in the failure.
func NoSecretsIn(t testing.TB, what string, data []byte, secrets ...string) {
	t.Helper()
	leaks, err := Leaks(data, secrets...)
	if err != nil {
		t.Error(err)
		return
	}
	for _, l := range leaks {
		t.Errorf("otelauthtest: secret %d is in %s at byte %d, as %s, after %q",
			l.Secret, what, l.Offset, l.Form, before(data, l.Offset))
	}
}

// before returns the bytes before a leak, which show its field without the secret.
func before(data []byte, offset int) []byte { return data[max(0, offset-48):offset] }

// Leaks searches data for each secret and returns at most one Leak for each secret and form. The
// forms are plain, reversed, hexadecimal, base32, percent-encoded, a JSON or Go string literal,
// UTF-16, Latin-1, a list of byte values, and base64 and base64url, also inside of a longer
// encoded text. Leaks also searches for the MD5, SHA-1, SHA-256 and SHA-512 digests as bytes,
// hexadecimal and base64, but not for digests with a secret key. A secret shorter than 4 bytes is
// an error.
func Leaks(data []byte, secrets ...string) ([]Leak, error) {
	scanner, err := leak.NewScanner(secrets...)
	if err != nil {
		return nil, fmt.Errorf("otelauthtest: %w", err)
	}
	var all []Leak
	for _, f := range scanner.Scan(data) {
		all = append(all, Leak(f))
	}
	return all, nil
}
