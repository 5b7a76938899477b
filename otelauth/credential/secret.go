// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"unsafe"
)

// Redacted is what a [Secret] prints.
const Redacted = "[redacted]"

// Secret is a password. The zero Secret is the empty password.
//
// It prints as [Redacted] in every verb of fmt, in JSON, XML and text encodings, in slog and in
// errors. Where its methods cannot be called, in an unexported field of a struct or for %p, a
// printer finds an address and neither octets nor their number. encoding/gob refuses it.
//
// Secrets are compared with [Secret.Equal]; == does not compile. A Secret is immutable and safe for
// concurrent use as long as nobody writes to what [Secret.Expose] returns.
type Secret struct {
	_ [0]func() // not comparable
	// at points to headerBytes of length, then the octets. fmt and the printers of test libraries
	// walk unexported fields by reflection and call no methods there; a []byte, a string or a typed
	// pointer would be printed or followed. One untyped pointer into the decoded field
	// also keeps Decode at one allocation for the password.
	at unsafe.Pointer
}

// headerBytes stand before the octets of a Secret and hold their number.
const headerBytes = 4

// NewSecret returns the Secret that holds a copy of password.
func NewSecret(password string) Secret {
	room := make([]byte, headerBytes+len(password))
	copy(room[headerBytes:], password)
	return seal(room)
}

// seal makes room a Secret: the first headerBytes of it are overwritten, the rest is the password.
// Nothing else may write to room afterwards.
func seal(room []byte) Secret {
	binary.NativeEndian.PutUint32(room[:headerBytes], uint32(len(room)-headerBytes))
	return Secret{at: unsafe.Pointer(unsafe.SliceData(room))}
}

// Expose returns the octets. The caller must not change them, and must not keep them longer than
// the request: no copy, no string, no field of a struct that outlives it.
func (s Secret) Expose() []byte {
	if s.at == nil {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Add(s.at, headerBytes)), s.Len())
}

// Len is the number of octets.
func (s Secret) Len() int {
	if s.at == nil {
		return 0
	}
	return int(binary.NativeEndian.Uint32(unsafe.Slice((*byte)(s.at), headerBytes)))
}

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
