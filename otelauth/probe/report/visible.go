// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
	"unicode"
)

// visible replaces characters that have no shape of their own, such as controls and marks of
// writing direction, by their number. Line feeds and tabs remain.
func visible(s string) string {
	if !strings.ContainsFunc(s, isInvisible) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if isInvisible(c) {
			fmt.Fprintf(&b, "⟨U+%04X⟩", c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

// isInvisible reports whether a character is of the categories Cc, Cf, Co, Zl or Zp.
func isInvisible(c rune) bool {
	return c != '\n' && c != '\t' && unicode.In(c, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp)
}
