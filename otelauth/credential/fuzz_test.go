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

// FuzzParse reads one field, or two, with Split and Decode and with net/http.
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
		field, b, fault := read(h)
		name, password, ok := (&http.Request{Header: h}).BasicAuth()

		if two && fault != credential.DuplicateField {
			t.Fatalf("two fields: %s", fault)
		}
		if fault.Reason() == "" && fault != credential.NoFault {
			t.Fatalf("fault %d has no reason", fault)
		}
		if fault != credential.NoFault || field.Scheme != attempt.SchemeBasic {
			return
		}

		octets, err := base64.StdEncoding.DecodeString(field.Token)
		if err != nil || base64.StdEncoding.EncodeToString(octets) != field.Token {
			t.Fatalf("token %q is not the one encoding of its octets", field.Token)
		}
		rawName, rawPassword, _ := strings.Cut(string(octets), ":")
		if string(b.Password.Expose()) != rawPassword {
			t.Fatalf("password %q from octets %q", b.Password.Expose(), octets)
		}
		if !utf8.ValidString(b.Name) || strings.ContainsFunc(b.Name, unicode.IsControl) || strings.Contains(b.Name, ":") {
			t.Fatalf("name %q", b.Name)
		}
		if utf8.ValidString(rawName) && b.Name != rawName {
			t.Fatalf("name %q from octets %q", b.Name, octets)
		}

		switch {
		case ok && (name != rawName || password != rawPassword):
			t.Fatalf("net/http reads %q %q, we %q", name, password, octets)
		case !ok && !strings.HasPrefix(first[len("Basic"):], "  "):
			t.Fatalf("we accept %q and net/http does not", first)
		}

		value, err := credential.Encode(b.Name, b.Password)
		if err != nil {
			t.Fatalf("what was read cannot be sent: %v", err)
		}
		_, again, fault := read(header(value))
		if fault == credential.TooLong { // ISO-8859-1 read, so the name has grown
			return
		}
		if fault != credential.NoFault || again.Name != b.Name || !again.Password.Equal(b.Password) {
			t.Fatalf("%q came back as %q, %s", b.Name, again.Name, fault)
		}
		if utf8.ValidString(rawName) && value != "Basic "+field.Token {
			t.Fatalf("%q came back as %q", field.Token, value)
		}
	})
}

// FuzzEncode holds Encode to what Split and Decode read.
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
		field, fault := credential.Split(header(value), len(value))
		if fault != credential.NoFault {
			t.Fatalf("Split: %s", fault)
		}
		b, fault := field.Decode()
		if fault != credential.NoFault || b.Name != name || string(b.Password.Expose()) != password {
			t.Fatalf("%q %q came back as %q, %s", name, password, b.Name, fault)
		}
	})
}
