// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"errors"
	"fmt"
)

// The kinds of [ParseError], for errors.Is.
var (
	// ErrUnknownScheme: the text has no prefix of a supported scheme. Plaintext gives this error.
	ErrUnknownScheme = errors.New("password: unknown scheme")
	// ErrLegacy: the scheme needs [Policy.DangerouslyAllowLegacy].
	ErrLegacy = errors.New("password: legacy scheme")
	// ErrOutOfBounds: a parameter is above the policy's [Bounds] or below the minimum of the
	// scheme.
	ErrOutOfBounds = errors.New("password: parameter out of bounds")
	// ErrMalformed: the prefix is known, but the rest of the text is not valid for it.
	ErrMalformed = errors.New("password: malformed hash")
	// ErrUnusable: Django's mark of an account without a password. A store disables the account.
	ErrUnusable = errors.New("password: unusable password")
	// ErrTooLong: the scheme cannot hash the whole password. Only [Params.Hash] returns it.
	ErrTooLong = errors.New("password: the password is too long or contains a NUL")
)

// ParseError is the reason why a stored hash is refused. It never holds any of the stored text.
type ParseError struct {
	// Scheme is the name of the scheme, as [Hash.Scheme] returns it, or "" if the scheme is
	// unknown.
	Scheme string
	// Reason is the problem and what to do about it, in words.
	Reason string

	kind error
}

// Error returns "password: ", the scheme if it is known, and the reason.
func (e *ParseError) Error() string {
	if e.Scheme == "" {
		return "password: " + e.Reason
	}
	return "password: " + e.Scheme + ": " + e.Reason
}

// Unwrap returns the kind: [ErrUnknownScheme], [ErrLegacy], [ErrOutOfBounds], [ErrMalformed] or
// [ErrUnusable].
func (e *ParseError) Unwrap() error { return e.kind }

func malformed(s *scheme, reason string) error {
	return &ParseError{Scheme: s.name, Reason: reason, kind: ErrMalformed}
}

// outOfBounds names the field of [Bounds] that would admit the value; field is "" if no field
// does.
func outOfBounds(s *scheme, parameter string, least, most int64, field string) error {
	reason := fmt.Sprintf("%s is outside %d to %d; hash the password again", parameter, least, most)
	if field != "" {
		reason += " or raise Policy.Max." + field
	}
	return &ParseError{Scheme: s.name, Reason: reason, kind: ErrOutOfBounds}
}
