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

// Redacted is what a [Secret] prints.
const Redacted = "[redacted]"

// Secret is a password. The zero Secret is the empty password.
//
// It prints as [Redacted] in every verb of fmt, in JSON, XML and text encodings, in slog and in
// errors. Where its methods cannot be called, in an unexported field of a struct or for %p, a
// printer finds the address of a function and neither octets nor their number. encoding/gob refuses it.
//
// Secrets are compared with [Secret.Equal]; == does not compile. A Secret is immutable and safe for
// concurrent use as long as nobody writes to what [Secret.Expose] returns.
type Secret struct {
	// reveal closes over the octets. fmt and the printers of test libraries walk unexported fields by
	// reflection and call no methods there: a []byte, a string or a pointer would be printed or
	// followed, a function is not.
	reveal func() []byte
}

// NewSecret returns the Secret that holds a copy of password.
func NewSecret(password string) Secret { return seal([]byte(password)) }

// seal makes octets a Secret. Nothing else may write to them afterwards.
func seal(octets []byte) Secret {
	octets = slices.Clip(octets)
	return Secret{reveal: func() []byte { return octets }}
}

// Expose returns the octets. The caller must not change them, and must not keep them longer than
// the request: no copy, no string, no field of a struct that outlives it.
func (s Secret) Expose() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// Len is the number of octets.
func (s Secret) Len() int { return len(s.Expose()) }

// Equal reports whether both hold the same octets, in a time that depends on their number only.
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
