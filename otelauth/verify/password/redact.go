// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"fmt"
	"io"
	"log/slog"
)

// String returns "[redacted bcrypt]" with the scheme of the hash, or "[redacted]" for the zero
// Hash.
func (h *Hash) String() string {
	if s := h.Scheme(); s != "" {
		return "[redacted " + s + "]"
	}
	return "[redacted]"
}

// Format prints [Hash.String] for every verb and flag, %x, %#v and %d included.
func (h *Hash) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, h.String()) }

// GoString returns [Hash.String].
func (h *Hash) GoString() string { return h.String() }

// LogValue returns [Hash.String] for slog.
func (h *Hash) LogValue() slog.Value { return slog.StringValue(h.String()) }

// MarshalJSON returns [Hash.String] as a JSON string. The hash cannot be read back from it.
func (h *Hash) MarshalJSON() ([]byte, error) { return []byte(`"` + h.String() + `"`), nil }

// MarshalText returns [Hash.String], for XML, YAML and the like.
func (h *Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }
