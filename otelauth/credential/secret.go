// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// Redacted is the text that a [Secret] prints.
const Redacted = "[redacted]"

// Secret is a password. The zero Secret is the empty password.
//
// It prints as [Redacted] in every verb of fmt, in JSON, XML and text encodings, in slog and in
// errors. In an unexported field of a struct, or for %p, a printer finds the address of a function
// and neither the bytes nor their number. encoding/gob refuses it.
//
// Compare Secrets with [Secret.Equal]; == does not compile. A Secret is immutable and safe for
// concurrent use, unless a caller writes to the result of [Secret.Expose].
type Secret struct {
	// reveal closes over the bytes. fmt and test libraries print unexported fields by reflection
	// and call no methods there. They print a []byte or a string and follow a pointer, but not a
	// function.
	reveal func() []byte
}

// NewSecret returns the Secret that holds a copy of password.
func NewSecret(password string) Secret { return seal([]byte(password)) }

// seal returns a Secret of raw, which the caller must not change afterwards.
func seal(raw []byte) Secret {
	raw = slices.Clip(raw)
	return Secret{reveal: func() []byte { return raw }}
}

// Expose returns the bytes of the password, without a copy. The caller must not change them, and
// must not keep them or a copy longer than the request.
func (s Secret) Expose() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// Len returns the number of bytes.
func (s Secret) Len() int { return len(s.Expose()) }

// Equal reports whether both hold the same bytes, in a time that depends on their number only.
func (s Secret) Equal(t Secret) bool { return subtle.ConstantTimeCompare(s.Expose(), t.Expose()) == 1 }

// Format writes [Redacted] for every verb and flag.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// String returns [Redacted].
func (Secret) String() string { return Redacted }

// GoString returns [Redacted].
func (Secret) GoString() string { return Redacted }

// MarshalJSON returns [Redacted] as a JSON string.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText returns [Redacted].
func (Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue returns [Redacted].
func (Secret) LogValue() slog.Value { return slog.StringValue(Redacted) }
