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

// Basic is a name and a password as a client claims them (RFC 7617). The zero Basic is the empty name
// with the empty password.
type Basic struct {
	// Name is valid UTF-8 without a colon and without control characters. It may be empty, which the RFC
	// allows. It shares no memory with the password. Whether it is a name at all is
	// not known yet (people type passwords into the name field), so it is not to be
	// logged before an account was found.
	Name string
	// Password is the octets after the first colon, as they were sent.
	Password Secret
}

// strict refuses trailing bits that are not zero. Like every encoding of encoding/base64 it
// still skips CR and LF, which Decode counts.
var strict = base64.StdEncoding.Strict()

// Decode decodes the token. It allocates the decoded octets, the name, and the few bytes that make a Secret of the
// password.
//
// The token must be the canonical padded base64 of RFC 4648, section 4, so that octets have one token only. The name
// ends at the first colon. Control characters in either part are refused (RFC 7617, section 2). Octets of the
// name that are not valid UTF-8 are read as ISO-8859-1, those of the password are taken as they are (RFC 7617,
// appendix B.3: clients in use send them). C1 controls in the name, U+0080 to U+009F, are refused too: no
// identifier of RFC 8265 has them, and U+009B starts a terminal's control sequence just as ESC does.
//
// The faults are [Empty], [NotBase64], [ControlCharacter] and [NoColon].
func (f Field) Decode() (Basic, Fault) {
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
	octets := make([]byte, want+2) // strict.Decode may write DecodedLen octets
	n, err := strict.Decode(octets, []byte(f.Token))
	if err != nil || n != want { // n < want: a CR or LF was skipped
		return Basic{}, NotBase64
	}
	octets = octets[:want]
	if hasControl(octets) {
		return Basic{}, ControlCharacter
	}
	colon := bytes.IndexByte(octets, ':')
	if colon < 0 {
		return Basic{}, NoColon
	}
	name, ok := decodeName(octets[:colon])
	if !ok {
		return Basic{}, ControlCharacter
	}
	return Basic{Name: name, Password: seal(octets[colon+1:])}, NoFault
}

// decodeName copies the name out of the decoded octets; not ok when it holds a C1 control.
func decodeName(octets []byte) (name string, ok bool) {
	if utf8.Valid(octets) {
		name = string(octets)
	} else {
		name = fromLatin1(octets)
	}
	return name, !hasControlRune(name)
}

func fromLatin1(octets []byte) string {
	var b strings.Builder
	b.Grow(2 * len(octets))
	for _, c := range octets {
		b.WriteRune(rune(c))
	}
	return b.String()
}

// hasControl looks for CTL of RFC 5234, appendix B.1. It asks no more of a password, whose
// octets above that may be in any encoding.
func hasControl(octets []byte) bool {
	for _, c := range octets {
		if c < 0x20 || c == 0x7f {
			return true
		}
	}
	return false
}

// hasControlRune looks for CTL and for the C1 controls.
func hasControlRune(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

// Encode returns the value of an Authorization field for name and password, "Basic …", which [Split]
// and Decode read back to the same two. It is for clients.
//
// The name must be valid UTF-8 without a colon and without control characters, U+0080 to U+009F included; the password
// may be any octets but control characters. An error says which rule is broken and holds neither of them.
//
// RFC 7617, section 2.
func Encode(name string, password Secret) (string, error) {
	switch {
	case !utf8.ValidString(name):
		return "", errors.New("credential: the user name is not valid UTF-8; write it in UTF-8")
	case strings.IndexByte(name, ':') >= 0:
		return "", errors.New("credential: the user name has a colon, which Basic authentication cannot carry; choose another name")
	case hasControlRune(name):
		return "", errors.New("credential: the user name has a control character; look for a line break or a tab at its end")
	case hasControl(password.Expose()):
		return "", errors.New("credential: the password has a control character; look for a line break at its end")
	}
	octets := make([]byte, 0, len(name)+1+password.Len())
	octets = append(octets, name...)
	octets = append(octets, ':')
	octets = append(octets, password.Expose()...)
	value := make([]byte, 0, len(scheme)+1+base64.StdEncoding.EncodedLen(len(octets)))
	value = append(value, scheme+" "...)
	return string(base64.StdEncoding.AppendEncode(value, octets)), nil
}
