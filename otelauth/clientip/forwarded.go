// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip

import "strings"

// lastUnquotedComma returns the position of the last comma outside of quoted-strings, or -1. It is
// not ok when a quoted-string has no beginning, or when the text after the comma is too long.
//
// From right to left, a quote closes a quoted-string, and the next unescaped quote opens it. This
// is exact for a well-formed element: inside of a quoted-string every quote is escaped, and the
// opening quote follows "=", never a backslash.
func lastUnquotedComma(s string) (int, bool) {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		if len(s)-i > maxElementBytes {
			return 0, false
		}
		switch s[i] {
		case ',':
			if !quoted {
				return i, true
			}
		case '"':
			if !quoted || !isEscaped(s[:i]) {
				quoted = !quoted
			}
		}
	}
	return -1, !quoted
}

// isEscaped reports whether the character after before is escaped: an odd number of backslashes.
func isEscaped(before string) bool {
	before = before[max(0, len(before)-maxElementBytes):]
	return (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1
}

// parseElement parses one forwarded-element of RFC 7239, section 4: pairs of name and value,
// separated by semicolons. Names are case-insensitive and unique. It also accepts what real
// proxies write and what has one meaning only: white space around semicolons, and colons and
// brackets without quotes.
func parseElement(s string) (e element, ok bool) {
	var hasFor, hasProto bool
	for {
		s = trimSpace(s)
		if s == "" {
			return e, true
		}
		if s[0] == ';' { // the grammar allows an empty pair
			s = s[1:]
			continue
		}
		name, rest, found := strings.Cut(s, "=")
		if !found || !isToken(name) {
			return element{}, false
		}
		value, rest, ok := cutValue(rest)
		if !ok {
			return element{}, false
		}
		rest = trimSpace(rest)
		if rest != "" && rest[0] != ';' {
			return element{}, false
		}
		switch {
		case strings.EqualFold(name, "for"):
			if hasFor {
				return element{}, false
			}
			e.node, hasFor = value, true
		case strings.EqualFold(name, "proto"):
			if hasProto {
				return element{}, false
			}
			e.proto, hasProto = value, true
		}
		s = rest
	}
}

// cutValue parses a value, quoted or not, at the start of s.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		n := 0
		for n < len(s) && (isTokenChar(s[n]) || s[n] == ':' || s[n] == '[' || s[n] == ']') {
			n++
		}
		return s[:n], s[n:], n > 0
	}
	hasPairs := false
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			hasPairs = true
			i++
		case '"':
			if hasPairs {
				return unquotePairs(s[1:i]), s[i+1:], true
			}
			return s[1:i], s[i+1:], true
		}
	}
	return "", "", false
}

// unquotePairs removes the backslash of each quoted-pair.
func unquotePairs(s string) string {
	plain := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
		}
		plain = append(plain, s[i])
	}
	return string(plain)
}

func isToken(s string) bool {
	for i := range len(s) {
		if !isTokenChar(s[i]) {
			return false
		}
	}
	return s != ""
}

// isTokenChar reports whether c is a tchar of RFC 9110, section 5.6.2.
func isTokenChar(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}
