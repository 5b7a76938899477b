// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package credential is a skeleton.
package credential

import "net/http"

// Secret is a password.
type Secret struct{ octets []byte }

// NewSecret copies.
func NewSecret(password string) Secret { return Secret{[]byte(password)} }

// Expose returns the octets.
func (s Secret) Expose() []byte { return s.octets }

// Basic is a parsed credential.
type Basic struct {
	Name     string
	Password Secret
}

// Field is the Authorization field of a request, split but not decoded.
type Field struct {
	Token string
}

// Fault is why a field is refused.
type Fault uint8

// Split finds the one Authorization field.
func Split(h http.Header, maxBytes int) (Field, Fault) { return Field{}, 0 }

// Decode strictly decodes the token68.
func (f Field) Decode() (Basic, Fault) { return Basic{}, 0 }
