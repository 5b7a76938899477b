// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"errors"
	"fmt"
)

// The kinds of [ParseError], for errors.Is.
var (
	// ErrUnknownScheme: the text has no prefix of a scheme that is verified here. Plaintext lands here.
	ErrUnknownScheme = errors.New("password: unknown scheme")
	// ErrLegacy: a scheme that is verified only with [Policy.DangerouslyAllowLegacy].
	ErrLegacy = errors.New("password: legacy scheme")
	// ErrOutOfBounds: a parameter is above the policy's [Bounds] or below the scheme's minimum.
	ErrOutOfBounds = errors.New("password: parameter out of bounds")
	// ErrMalformed: the prefix is known and what follows does not fit it.
	ErrMalformed = errors.New("password: malformed hash")
	// ErrUnusable: Django's mark of an account that has no password. The store should disable the account.
	ErrUnusable = errors.New("password: unusable password")
	// ErrTooLong: a password that the scheme could not hash whole; from [Params.Hash].
	ErrTooLong = errors.New("password: too long or with a NUL")
)

// ParseError says why a stored hash is refused. It never holds any of the stored text.
type ParseError struct {
	// Scheme is one of [Schemes], or "" when the scheme is unknown.
	Scheme string
	// Reason is the fault and what to do about it, in words.
	Reason string

	kind error
}

// Error implements error.
func (e *ParseError) Error() string {
	if e.Scheme == "" {
		return "password: " + e.Reason
	}
	return "password: " + e.Scheme + ": " + e.Reason
}

// Unwrap returns the kind: [ErrUnknownScheme], [ErrLegacy], [ErrOutOfBounds], [ErrMalformed] or [ErrUnusable].
func (e *ParseError) Unwrap() error { return e.kind }

func malformed(s *scheme, reason string) error {
	return &ParseError{Scheme: s.name, Reason: reason, kind: ErrMalformed}
}

// outOfBounds names the field of [Bounds] to raise, if there is one.
func outOfBounds(s *scheme, parameter string, least, most int64, field string) error {
	reason := fmt.Sprintf("%s is outside %d to %d; hash the password again", parameter, least, most)
	if field != "" {
		reason += " or raise Policy.Max." + field
	}
	return &ParseError{Scheme: s.name, Reason: reason, kind: ErrOutOfBounds}
}
