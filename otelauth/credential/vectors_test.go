// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// vector is one Authorization field, or several, and the expected result. The vectors are test
// cases and seeds of the fuzzer.
type vector struct {
	what     string
	values   []string
	scheme   attempt.Scheme
	name     string
	password string
	defect   credential.Defect
	// basicAuth is how net/http reads the field.
	basicAuth verdict
}

type verdict uint8

const (
	refuses verdict = iota
	agrees
	differs // accepts, with another meaning
)

func b64(raw string) string { return base64.StdEncoding.EncodeToString([]byte(raw)) }

const (
	none  = attempt.SchemeNone
	basic = attempt.SchemeBasic
	other = attempt.SchemeOther
)

func vectors() []vector {
	one := func(value string) []string { return []string{value} }
	return []vector{
		// The examples of RFC 7617.
		{"RFC 7617, section 2", one("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), basic, "Aladdin", "open sesame", 0, agrees},
		{"RFC 7617, section 2.1", one("Basic dGVzdDoxMjPCow=="), basic, "test", "123£", 0, agrees},

		{"no field", nil, none, "", "", 0, refuses},
		{"scheme in lower case", one("basic " + b64("alice:pw")), basic, "alice", "pw", 0, agrees},
		{"scheme in capitals", one("BASIC " + b64("alice:pw")), basic, "alice", "pw", 0, agrees},
		{"empty name", one("Basic " + b64(":pw")), basic, "", "pw", 0, agrees},
		{"name of one byte", one("Basic " + b64("a:pw")), basic, "a", "pw", 0, agrees},
		{"name of two bytes", one("Basic " + b64("ab:pw")), basic, "ab", "pw", 0, agrees},
		{"empty password", one("Basic " + b64("alice:")), basic, "alice", "", 0, agrees},
		{"both empty", one("Basic Og=="), basic, "", "", 0, agrees},
		{"colon in the password", one("Basic " + b64("a:b:c:")), basic, "a", "b:c:", 0, agrees},
		{"no padding needed", one("Basic " + b64("ab:cde")), basic, "ab", "cde", 0, agrees},
		{"one pad", one("Basic " + b64("ab:cd")), basic, "ab", "cd", 0, agrees},
		{"spaces inside", one("Basic " + b64(" a b : c d ")), basic, " a b ", " c d ", 0, agrees},
		{"UTF-8 name", one("Basic " + b64("jürgen:grün")), basic, "jürgen", "grün", 0, agrees},
		{"password that is not UTF-8", one("Basic " + b64("alice:\xff\xfe")), basic, "alice", "\xff\xfe", 0, agrees},

		{"several spaces", one("Basic   " + b64("alice:pw")), basic, "alice", "pw", 0, refuses},
		{"ISO-8859-1 name", one("Basic " + b64("j\xfcrgen:gr\xfcn")), basic, "jürgen", "gr\xfcn", 0, differs},
		{"overlong UTF-8 name", one("Basic " + b64("\xc0\xaf:pw")), basic, "À¯", "pw", 0, differs},

		{"Bearer", one("Bearer abc"), other, "", "", 0, refuses},
		{"Digest with commas", one(`Digest username="a", realm="b"`), other, "", "", 0, refuses},
		{"longer scheme", one("Basically " + b64("alice:pw")), other, "", "", 0, refuses},
		{"dashed scheme", one("Basic-2 " + b64("alice:pw")), other, "", "", 0, refuses},
		{"shorter scheme", one("Basi"), other, "", "", 0, refuses},
		{"long s", one("Ba\u017fic " + b64("alice:pw")), other, "", "", 0, refuses},
		{"leading space", one(" Basic " + b64("alice:pw")), other, "", "", 0, refuses},

		{"two fields", []string{"Basic " + b64("alice:pw"), "Basic " + b64("bob:pw")}, basic, "", "", credential.DuplicateField, differs},
		{"the same twice", []string{"Basic Og==", "Basic Og=="}, basic, "", "", credential.DuplicateField, differs},
		{"Bearer before Basic", []string{"Bearer x", "Basic Og=="}, basic, "", "", credential.DuplicateField, refuses},
		{"two of another scheme", []string{"Bearer x", "Bearer y"}, other, "", "", credential.DuplicateField, refuses},

		{"comma-joined Basic", one("Basic " + b64("a:b") + ", Basic " + b64("c:d")), basic, "", "", credential.MultipleSchemes, refuses},
		{"comma-joined Bearer", one("Basic " + b64("a:b") + ", Bearer y"), basic, "", "", credential.MultipleSchemes, refuses},
		{"comma at once", one("Basic, Bearer y"), basic, "", "", credential.MultipleSchemes, refuses},
		{"parameters", one(`Basic realm="a", b="c"`), basic, "", "", credential.MultipleSchemes, refuses},

		{"too long", one("Basic " + strings.Repeat("A", 8<<10)), basic, "", "", credential.TooLong, refuses},
		{"too long, another scheme", one("Bearer " + strings.Repeat("A", 8<<10)), other, "", "", credential.TooLong, refuses},

		{"empty field", one(""), other, "", "", credential.Empty, refuses},
		{"scheme alone", one("Basic"), basic, "", "", credential.Empty, refuses},
		{"scheme and space", one("Basic "), basic, "", "", credential.Empty, refuses},
		{"scheme and spaces", one("Basic   "), basic, "", "", credential.Empty, refuses},

		{"tab after the scheme", one("Basic\t" + b64("alice:pw")), basic, "", "", credential.NotBase64, refuses},
		{"tab after the space", one("Basic \t" + b64("alice:pw")), basic, "", "", credential.NotBase64, refuses},
		{"no space", one("Basic:" + b64("alice:pw")), basic, "", "", credential.NotBase64, refuses},
		{"no space before a token that begins with a slash", one("Basic" + b64("\xffa:pw")), basic, "", "", credential.NotBase64, refuses},
		{"trailing space", one("Basic " + b64("alice:pw") + " "), basic, "", "", credential.NotBase64, refuses},
		{"something after the token", one("Basic Og== Og=="), basic, "", "", credential.NotBase64, refuses},
		{"no padding", one("Basic Og"), basic, "", "", credential.NotBase64, refuses},
		{"half padding", one("Basic Og="), basic, "", "", credential.NotBase64, refuses},
		{"too much padding", one("Basic YTpi===="), basic, "", "", credential.NotBase64, refuses},
		{"padding alone", one("Basic ===="), basic, "", "", credential.NotBase64, refuses},
		{"padding inside", one("Basic Og==YTpi"), basic, "", "", credential.NotBase64, refuses},
		{"URL alphabet", one("Basic " + base64.URLEncoding.EncodeToString([]byte("a:\xfb\xff"))), basic, "", "", credential.NotBase64, refuses},
		{"trailing bits", one("Basic YTpiYx=="), basic, "", "", credential.NotBase64, differs},
		{"four line feeds inside", one("Basic YT\npi\n\n\n"), basic, "", "", credential.NotBase64, differs},
		{"carriage returns", one("Basic YTpi\r\r\r\r"), basic, "", "", credential.NotBase64, differs},
		{"line feeds in the padding", one("Basic Og=\n\n\n\n="), basic, "", "", credential.NotBase64, differs},
		{"NUL in the token", one("Basic YTp\x00"), basic, "", "", credential.NotBase64, refuses},

		{"no colon", one("Basic " + b64("alice")), basic, "", "", credential.NoColon, refuses},

		{"NUL in the name", one("Basic " + b64("al\x00ice:pw")), basic, "", "", credential.ControlCharacter, differs},
		{"CR LF in the name", one("Basic " + b64("alice\r\n:pw")), basic, "", "", credential.ControlCharacter, differs},
		{"ESC in the name", one("Basic " + b64("\x1b[31m:pw")), basic, "", "", credential.ControlCharacter, differs},
		{"DEL in the name", one("Basic " + b64("al\x7fice:pw")), basic, "", "", credential.ControlCharacter, differs},
		{"LF in the password", one("Basic " + b64("alice:pw\n")), basic, "", "", credential.ControlCharacter, differs},
		{"tab in the password", one("Basic " + b64("alice:p\tw")), basic, "", "", credential.ControlCharacter, differs},
		{"C1 CSI in the name", one("Basic " + b64("\u009b31m:pw")), basic, "", "", credential.ControlCharacter, differs},
		{"C1 CSI in an ISO-8859-1 name", one("Basic " + b64("\x9b31m:pw")), basic, "", "", credential.ControlCharacter, differs},
		{"bytes of C1 in the password", one("Basic " + b64("alice:\x9b\u009b")), basic, "alice", "\x9b\u009b", 0, agrees},
	}
}

// header returns a map that http.Header.Add cannot build.
func header(values ...string) http.Header {
	if len(values) == 0 {
		return http.Header{}
	}
	return http.Header{"Authorization": values}
}
