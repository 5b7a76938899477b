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

// DefaultMaxBytes bounds an Authorization field where no bound is given: 8 KiB. net/http itself lets
// 900 KiB through.
const DefaultMaxBytes = 8 << 10

// Field is the one Authorization field of a request, split but not decoded. The zero Field is
// that of a request without credentials.
//
// Token is as secret as the password in it. A Field prints as its scheme only, wherever its methods are
// called; unlike a [Secret] it cannot hide where they are not, in an unexported field of another struct, for %p or
// in encoding/gob. Keep it in a local variable.
type Field struct {
	// Scheme is SchemeNone, SchemeBasic or SchemeOther.
	Scheme attempt.Scheme
	// Token is the token68 after "Basic", at least one octet; "" for any other Scheme and when there is a
	// fault. It shares memory with the header.
	Token string
}

const (
	fieldName = "Authorization"
	scheme    = "Basic"
)

// Split finds the Authorization field among the fields of a request and cuts it into scheme and token.
// It allocates nothing.
//
// maxBytes bounds the field's value; 0 or less means [DefaultMaxBytes]. A request without the field and
// one with another scheme are no fault: neither brings credentials that could be wrong. With a fault the Field
// still says which scheme was used. The names of fields must be in canonical form, as net/http
// delivers them.
//
// RFC 9110, sections 11.4 and 11.6.2.
func Split(h http.Header, maxBytes int) (Field, Fault) {
	values := h[fieldName]
	if len(values) == 0 {
		return Field{Scheme: attempt.SchemeNone}, NoFault
	}
	if len(values) > 1 {
		return Field{Scheme: schemeOfAny(values)}, DuplicateField
	}
	value := values[0]
	if maxBytes <= 0 {
		maxBytes = DefaultMaxBytes
	}
	if value == "" {
		return Field{Scheme: attempt.SchemeOther}, Empty
	}
	rest, isBasic := cutScheme(value)
	if !isBasic {
		if len(value) > maxBytes {
			return Field{Scheme: attempt.SchemeOther}, TooLong
		}
		return Field{Scheme: attempt.SchemeOther}, NoFault
	}
	var fault Fault
	switch token := strings.TrimLeft(rest, " "); {
	case len(value) > maxBytes:
		fault = TooLong
	case token == "":
		fault = Empty
	case strings.IndexByte(token, ',') >= 0:
		fault = MultipleSchemes
	case rest[0] != ' ': // a tab or a slash, with which base64 can begin: no separator, so no token68
		fault = NotBase64
	default:
		return Field{Scheme: attempt.SchemeBasic, Token: token}, NoFault
	}
	return Field{Scheme: attempt.SchemeBasic}, fault
}

// cutScheme cuts "Basic" off, in any case of letters, and reports whether it was the whole scheme.
func cutScheme(value string) (rest string, isBasic bool) {
	if len(value) < len(scheme) {
		return "", false
	}
	for i := range len(scheme) {
		if value[i]|0x20 != scheme[i]|0x20 { // exact for letters, and no letter but ASCII's folds to them
			return "", false
		}
	}
	rest = value[len(scheme):]
	return rest, rest == "" || !isTokenChar(rest[0])
}

// isTokenChar reports whether c continues a scheme's name: tchar of RFC 9110, section 5.6.2.
func isTokenChar(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// schemeOfAny is the scheme to record for several fields: Basic when any of them is.
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
