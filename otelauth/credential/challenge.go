// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Challenge returns the value of a WWW-Authenticate field, Basic realm="…", charset="UTF-8". It
// asks clients for credentials in UTF-8 (RFC 7617, sections 2 and 2.1).
//
// A browser shows the realm to its user. The realm may be empty or any valid UTF-8, though
// browsers agree on US-ASCII only. Quotes and backslashes in it are escaped (RFC 9110, section
// 5.6.4). A control character or invalid UTF-8 is an error.
func Challenge(realm string) (string, error) {
	if !utf8.ValidString(realm) {
		return "", errors.New("credential: the realm is not valid UTF-8; write it in UTF-8, best in US-ASCII")
	}
	if hasControlRune(realm) {
		return "", errors.New("credential: the realm has a control character; remove the line break or tab")
	}
	const before, after = scheme + ` realm="`, `", charset="UTF-8"`
	var b strings.Builder
	b.Grow(len(before) + len(realm) + len(after))
	b.WriteString(before)
	for i := range len(realm) {
		if realm[i] == '"' || realm[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(realm[i])
	}
	b.WriteString(after)
	return b.String(), nil
}
