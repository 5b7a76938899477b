// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt

import (
	"strings"
	"unicode/utf8"
)

// Text returns s as observers may write it: valid UTF-8 (OTLP refuses a whole batch for one string that is not),
// with U+FFFD in place of whatever could forge a line or turn text around where it is shown (C0 and C1 controls,
// DEL, U+2028, U+2029, and the bidirectional embeddings, overrides and isolates of CVE-2021-42574), and at
// most maxBytes long, cut between characters. It allocates only when it changes something other than the length.
func Text(s string, maxBytes int) string {
	s = cut(s, maxBytes)
	if plain(s) {
		return s
	}
	return cut(strings.Map(func(r rune) rune {
		if forges(r) {
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

// plain is the fast path: nothing but printable ASCII, as nearly everything is, or text without a fault.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return scan(s[i:])
		}
	}
	return true
}

func scan(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if forges(r) {
			return false
		}
	}
	return true
}

func forges(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r <= 0x9f:
		return true
	case r == 0x2028, r == 0x2029, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
		return true
	}
	return false
}

// KnownMethod returns method when it is one of RFC 9110 or RFC 5789 (PATCH), "" when it is empty, and
// "_OTHER" for any else. Methods are case-sensitive.
func KnownMethod(method string) string {
	switch method {
	case "", "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH":
		return method
	}
	return "_OTHER"
}
