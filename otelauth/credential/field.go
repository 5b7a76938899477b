// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// defaultMaxBytes bounds an Authorization field by default. net/http accepts 900 KiB.
const defaultMaxBytes = 8 << 10

// Field is the Authorization field of a request, split but not decoded. The zero Field is that of
// a request without credentials.
//
// Token is as secret as the password in it. The methods of a Field print its scheme only. Unlike a
// [Secret], a Field prints its Token where its methods are not called: in an unexported field of
// another struct, for %p and in encoding/gob. Keep it in a local variable.
type Field struct {
	// Scheme is SchemeNone, SchemeBasic or SchemeOther.
	Scheme attempt.Scheme
	// Token is the token68 after "Basic", at least one byte; "" for any other Scheme and with a
	// Defect. It shares memory with the header.
	Token string
}

const (
	fieldName = "Authorization"
	scheme    = "Basic"
)

// Split returns the scheme and the token of the Authorization field in h (RFC 9110, sections 11.4
// and 11.6.2). It does not allocate.
//
// maxBytes bounds the field's value; 0 or less means 8 KiB. A request without the field or with
// another scheme has no defect. A Field with a defect still has its Scheme. The names of fields
// must be in canonical form, as in the requests of net/http.
func Split(h http.Header, maxBytes int) (Field, Defect) {
	values := h[fieldName]
	if len(values) == 0 {
		return Field{Scheme: attempt.SchemeNone}, NoDefect
	}
	if len(values) > 1 {
		return Field{Scheme: schemeOfAny(values)}, DuplicateField
	}
	value := values[0]
	if maxBytes <= 0 {
		maxBytes = defaultMaxBytes
	}
	if value == "" {
		return Field{Scheme: attempt.SchemeOther}, Empty
	}
	rest, isBasic := cutScheme(value)
	if !isBasic {
		if len(value) > maxBytes {
			return Field{Scheme: attempt.SchemeOther}, TooLong
		}
		return Field{Scheme: attempt.SchemeOther}, NoDefect
	}
	var defect Defect
	switch token := strings.TrimLeft(rest, " "); {
	case len(value) > maxBytes:
		defect = TooLong
	case token == "":
		defect = Empty
	case strings.IndexByte(token, ',') >= 0:
		defect = MultipleSchemes
	case rest[0] != ' ': // a tab, or a slash, with which base64 can begin: not a separator
		defect = NotBase64
	default:
		return Field{Scheme: attempt.SchemeBasic, Token: token}, NoDefect
	}
	return Field{Scheme: attempt.SchemeBasic}, defect
}

// cutScheme returns what follows "Basic", in any letter case, and whether that is the whole
// scheme.
func cutScheme(value string) (rest string, isBasic bool) {
	if len(value) < len(scheme) {
		return "", false
	}
	for i := range len(scheme) {
		if value[i]|0x20 != scheme[i]|0x20 { // exact, because the scheme has letters only
			return "", false
		}
	}
	rest = value[len(scheme):]
	return rest, rest == "" || !isTokenChar(rest[0])
}

// isTokenChar reports whether c is a tchar of RFC 9110, section 5.6.2, and so part of the scheme.
func isTokenChar(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// schemeOfAny returns the scheme to record for several fields: Basic when one of them is Basic.
func schemeOfAny(values []string) attempt.Scheme {
	for _, v := range values {
		if _, isBasic := cutScheme(v); isBasic {
			return attempt.SchemeBasic
		}
	}
	return attempt.SchemeOther
}

// Format writes the scheme and [Redacted], for every verb and flag.
func (f Field) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, f.String()) }

// String returns the scheme and [Redacted].
func (f Field) String() string { return f.Scheme.String() + " " + Redacted }

// MarshalText returns what String returns; encoding/json uses it too.
func (f Field) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// LogValue returns what String returns.
func (f Field) LogValue() slog.Value { return slog.StringValue(f.String()) }
