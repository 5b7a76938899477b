// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt

import (
	"strings"
	"unicode/utf8"
)

// Text returns s as observers may write it: valid UTF-8 and at most maxBytes long, cut between
// characters. OTLP refuses a whole batch for one invalid string. U+FFFD replaces each character
// that can forge a line or reverse text on a screen: C0 and C1 controls, DEL, U+2028, U+2029, and
// the bidirectional controls of CVE-2021-42574. Text allocates only when it replaces a character.
func Text(s string, maxBytes int) string {
	s = cut(s, maxBytes)
	if isPlain(s) {
		return s
	}
	return cut(strings.Map(func(r rune) rune {
		if canForge(r) {
			return utf8.RuneError
		}
		return r // strings.Map turns each invalid byte into utf8.RuneError
	}, s), maxBytes)
}

// cut shortens s to at most maxBytes without splitting a character.
func cut(s string, maxBytes int) string {
	if len(s) <= maxBytes {
		return s
	}
	end := max(maxBytes, 0)
	for range utf8.UTFMax - 1 {
		if end == 0 || utf8.RuneStart(s[end]) {
			break
		}
		end--
	}
	return s[:end]
}

// isPlain reports whether Text returns s unchanged. Printable ASCII is the fast path.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return isHarmless(s[i:])
		}
	}
	return true
}

// isHarmless reports whether s is valid UTF-8 in which no character is to be replaced.
func isHarmless(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if canForge(r) {
			return false
		}
	}
	return true
}

// canForge reports whether r can forge a line or reverse text.
func canForge(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r <= 0x9f:
		return true
	case r == 0x2028, r == 0x2029, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// KnownMethod returns method if it is one of RFC 9110 or RFC 5789 (PATCH), "" if it is empty, and
// "_OTHER" otherwise. Methods are case-sensitive.
func KnownMethod(method string) string {
	switch method {
	case "", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		return method
	}
	return "_OTHER"
}
