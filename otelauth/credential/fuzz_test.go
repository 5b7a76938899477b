// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// FuzzParse parses one field, or two, with Split and Decode and with net/http.
func FuzzParse(f *testing.F) {
	for _, v := range vectors() {
		switch len(v.values) {
		case 1:
			f.Add(v.values[0], "", false)
		case 2:
			f.Add(v.values[0], v.values[1], true)
		}
	}
	f.Fuzz(func(t *testing.T, first, second string, two bool) {
		h := header(first)
		if two {
			h = header(first, second)
		}
		field, b, defect := read(h)
		name, password, ok := (&http.Request{Header: h}).BasicAuth()

		if two && defect != credential.DuplicateField {
			t.Fatalf("two fields: %s", defect)
		}
		if defect.Reason() == "" && defect != credential.NoDefect {
			t.Fatalf("defect %d has no reason", defect)
		}
		if defect != credential.NoDefect || field.Scheme != attempt.SchemeBasic {
			return
		}

		raw, err := base64.StdEncoding.DecodeString(field.Token)
		if err != nil || base64.StdEncoding.EncodeToString(raw) != field.Token {
			t.Fatalf("token %q is not the one encoding of its bytes", field.Token)
		}
		rawName, rawPassword, _ := strings.Cut(string(raw), ":")
		if string(b.Password.Expose()) != rawPassword {
			t.Fatalf("password %q from bytes %q", b.Password.Expose(), raw)
		}
		if !utf8.ValidString(b.Name) || strings.ContainsFunc(b.Name, unicode.IsControl) || strings.Contains(b.Name, ":") {
			t.Fatalf("name %q", b.Name)
		}
		if utf8.ValidString(rawName) && b.Name != rawName {
			t.Fatalf("name %q from bytes %q", b.Name, raw)
		}

		switch {
		case ok && (name != rawName || password != rawPassword):
			t.Fatalf("net/http reads %q %q, Decode %q", name, password, raw)
		case !ok && !strings.HasPrefix(first[len("Basic"):], "  "):
			t.Fatalf("Decode accepts %q and net/http does not", first)
		}

		value, err := credential.Encode(b.Name, b.Password)
		if err != nil {
			t.Fatalf("the decoded credentials cannot be encoded: %v", err)
		}
		_, again, defect := read(header(value))
		if defect == credential.TooLong { // decoded from ISO-8859-1, so the name has grown
			return
		}
		if defect != credential.NoDefect || again.Name != b.Name || !again.Password.Equal(b.Password) {
			t.Fatalf("%q came back as %q, %s", b.Name, again.Name, defect)
		}
		if utf8.ValidString(rawName) && value != "Basic "+field.Token {
			t.Fatalf("%q came back as %q", field.Token, value)
		}
	})
}

// FuzzEncode checks that Split and Decode read what Encode writes.
func FuzzEncode(f *testing.F) {
	f.Add("alice", "wonderland")
	f.Add("", "")
	f.Add("a:b", "c")
	f.Add("jürgen", "gr\xfcn")
	f.Add("\u009b", "\x1b")
	f.Fuzz(func(t *testing.T, name, password string) {
		value, err := credential.Encode(name, credential.NewSecret(password))
		if err != nil {
			return
		}
		field, defect := credential.Split(header(value), len(value))
		if defect != credential.NoDefect {
			t.Fatalf("Split: %s", defect)
		}
		b, defect := field.Decode()
		if defect != credential.NoDefect || b.Name != name || string(b.Password.Expose()) != password {
			t.Fatalf("%q %q came back as %q, %s", name, password, b.Name, defect)
		}
	})
}
