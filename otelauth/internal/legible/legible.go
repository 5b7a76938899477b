// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package legible shows texts to people without losing a character.
package legible

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns s with every character that a screen would not show as itself written as an escape
// such as \u202e: controls, format characters (bidirectional controls, zero-width characters and
// soft hyphens among them), line and paragraph separators, and private or unassigned ones. An
// invalid byte becomes \x and two digits, and a backslash \\, so that no two texts look alike.
func Text(s string) string {
	if strings.IndexFunc(s, isHidden) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\\':
			b.WriteString(`\\`)
		case !isHidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// isHidden reports whether Text escapes r. A space is shown as itself, other white space is not.
func isHidden(r rune) bool {
	return r == '\\' || r != ' ' && !unicode.IsGraphic(r) || r != ' ' && unicode.IsSpace(r)
}
