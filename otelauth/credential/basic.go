// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Basic is a name and a password that a client sent (RFC 7617). The zero Basic is the empty name
// with the empty password.
type Basic struct {
	// Name is valid UTF-8 without a colon and without control characters. It may be empty, which
	// the RFC allows. It shares no memory with the password. Do not log it before an account is
	// found: people type passwords into the name field.
	Name string
	// Password is the bytes after the first colon, as they were sent.
	Password Secret
}

// strict refuses trailing bits that are not zero. Like every encoding of encoding/base64 it skips
// CR and LF, so Decode compares lengths.
var strict = base64.StdEncoding.Strict()

// Decode returns the name and the password in the token. It allocates the decoded bytes, the name
// and the Secret.
//
// The token must be the canonical padded base64 of RFC 4648, section 4, so that each pair has one
// token only. The name ends at the first colon. Control characters in either part are refused (RFC
// 7617, section 2). C1 controls in the name, U+0080 to U+009F, are refused too: no identifier of
// RFC 8265 has them, and U+009B starts a terminal's control sequence as ESC does. A name that is
// not valid UTF-8 is read as ISO-8859-1, because some clients send it (RFC 7617, appendix B.3).
// The password is not converted.
//
// The defects are [Empty], [NotBase64], [ControlCharacter] and [NoColon].
func (f Field) Decode() (Basic, Defect) {
	if f.Token == "" {
		return Basic{}, Empty
	}
	if len(f.Token)%4 != 0 {
		return Basic{}, NotBase64
	}
	want := len(f.Token) / 4 * 3
	if strings.HasSuffix(f.Token, "==") {
		want -= 2
	} else if strings.HasSuffix(f.Token, "=") {
		want--
	}
	pair := make([]byte, want+2) // strict.Decode may write DecodedLen bytes
	n, err := strict.Decode(pair, []byte(f.Token))
	if err != nil || n != want { // n < want: a CR or LF was skipped
		return Basic{}, NotBase64
	}
	pair = pair[:want]
	if hasControl(pair) {
		return Basic{}, ControlCharacter
	}
	colon := bytes.IndexByte(pair, ':')
	if colon < 0 {
		return Basic{}, NoColon
	}
	name, ok := decodeName(pair[:colon])
	if !ok {
		return Basic{}, ControlCharacter
	}
	return Basic{Name: name, Password: seal(pair[colon+1:])}, NoDefect
}

// decodeName returns a copy of the name; not ok when it holds a C1 control.
func decodeName(raw []byte) (name string, ok bool) {
	if utf8.Valid(raw) {
		name = string(raw)
	} else {
		name = fromLatin1(raw)
	}
	return name, !hasControlRune(name)
}

func fromLatin1(raw []byte) string {
	var b strings.Builder
	b.Grow(2 * len(raw))
	for _, c := range raw {
		b.WriteRune(rune(c))
	}
	return b.String()
}

// hasControl reports whether raw holds a CTL of RFC 5234, appendix B.1. Bytes above 0x7f pass,
// because a password may be in any encoding.
func hasControl(raw []byte) bool {
	for _, c := range raw {
		if c < 0x20 || c == 0x7f {
			return true
		}
	}
	return false
}

// hasControlRune reports whether s holds a CTL or a C1 control.
func hasControlRune(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// Encode returns the value of an Authorization field, "Basic …", for name and password. [Split]
// and Decode read it back. It is for clients.
//
// The name must be valid UTF-8 without a colon and without control characters, U+0080 to U+009F
// included. The password may hold any bytes except control characters. An error names the broken
// rule and contains neither name nor password (RFC 7617, section 2).
func Encode(name string, password Secret) (string, error) {
	switch {
	case !utf8.ValidString(name):
		return "", errors.New("credential: the user name is not valid UTF-8; write it in UTF-8")
	case strings.IndexByte(name, ':') >= 0:
		return "", errors.New("credential: the user name has a colon, which Basic authentication cannot carry; choose another name")
	case hasControlRune(name):
		return "", errors.New("credential: the user name has a control character; remove the line break or tab at its end")
	case hasControl(password.Expose()):
		return "", errors.New("credential: the password has a control character; remove the line break at its end")
	}
	pair := make([]byte, 0, len(name)+1+password.Len())
	pair = append(pair, name...)
	pair = append(pair, ':')
	pair = append(pair, password.Expose()...)
	value := make([]byte, 0, len(scheme)+1+base64.StdEncoding.EncodedLen(len(pair)))
	value = append(value, scheme+" "...)
	return string(base64.StdEncoding.AppendEncode(value, pair)), nil
}
