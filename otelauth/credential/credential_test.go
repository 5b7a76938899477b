// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"net/http"
	"strings"
	"testing"
	"unsafe"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
)

// read calls Split and Decode as the pipeline does.
func read(h http.Header) (credential.Field, credential.Basic, credential.Defect) {
	field, defect := credential.Split(h, 0)
	if defect != credential.NoDefect || field.Scheme != attempt.SchemeBasic {
		return field, credential.Basic{}, defect
	}
	b, defect := field.Decode()
	return field, b, defect
}

// TestVectors also checks the table in the package comment: it asserts what net/http does.
func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors() {
		t.Run(v.what, func(t *testing.T) {
			t.Parallel()
			field, b, defect := read(header(v.values...))
			if field.Scheme != v.scheme || defect != v.defect {
				t.Fatalf("scheme %s, defect %s; want %s, %s", field.Scheme, defect, v.scheme, v.defect)
			}
			if b.Name != v.name || string(b.Password.Expose()) != v.password {
				t.Errorf("name %q, password %q; want %q, %q", b.Name, b.Password.Expose(), v.name, v.password)
			}
			if field.Scheme != attempt.SchemeBasic && field.Token != "" {
				t.Errorf("token %q for scheme %s", field.Token, field.Scheme)
			}

			name, password, ok := (&http.Request{Header: header(v.values...)}).BasicAuth()
			got := refuses
			if ok {
				got = differs
				if defect == credential.NoDefect && name == b.Name && password == string(b.Password.Expose()) {
					got = agrees
				}
			}
			if got != v.basicAuth {
				t.Errorf("net/http: %d, want %d (name %q, ok %t)", got, v.basicAuth, name, ok)
			}
		})
	}
}

func TestDefectLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, v := range vectors() {
		field, defect := credential.Split(header(v.values...), 0)
		if defect != credential.NoDefect && field.Token != "" {
			t.Errorf("%s: defect %s with a token", v.what, defect)
		}
		if b, defect := field.Decode(); defect != credential.NoDefect && (b.Name != "" || b.Password.Len() != 0) {
			t.Errorf("%s: defect %s with a credential", v.what, defect)
		}
	}
}

func TestSplitBound(t *testing.T) {
	t.Parallel()
	value := "Basic " + b64("alice:wonderland")
	for _, c := range []struct {
		maxBytes int
		value    string
		want     credential.Defect
	}{
		{len(value), value, credential.NoDefect},
		{len(value) - 1, value, credential.TooLong},
		{len(value) - 1, "Bearer" + value[5:], credential.TooLong},
		{0, "Basic " + strings.Repeat("A", 8<<10-6), credential.NoDefect},
		{0, "Basic " + strings.Repeat("A", 8<<10-5), credential.TooLong},
		{-1, "Basic " + strings.Repeat("A", 8<<10-6), credential.NoDefect},
		{0, "Basic " + strings.Repeat(" ", 900<<10), credential.TooLong},
	} {
		if _, defect := credential.Split(header(c.value), c.maxBytes); defect != c.want {
			t.Errorf("%d bytes, bound %d: %s, want %s", len(c.value), c.maxBytes, defect, c.want)
		}
	}
}

func TestZeroFieldDecodes(t *testing.T) {
	t.Parallel()
	if _, defect := (credential.Field{}).Decode(); defect != credential.Empty {
		t.Errorf("defect %s, want %s", defect, credential.Empty)
	}
}

// Each split of the same bytes into name and password has a different token, so a cache with the
// token as key cannot confuse them (CVE-2022-46146, GHSA-6765-c87h-8mrf).
func TestTokenIsInjective(t *testing.T) {
	t.Parallel()
	tokens := map[string][2]string{}
	const raw = "alicewonderland"
	for i := range len(raw) {
		name, password := raw[:i], raw[i:]
		value, err := credential.Encode(name, credential.NewSecret(password))
		if err != nil {
			t.Fatal(err)
		}
		field, _ := credential.Split(header(value), 0)
		if twin, taken := tokens[field.Token]; taken {
			t.Errorf("%q and %q have one token", twin, [2]string{name, password})
		}
		tokens[field.Token] = [2]string{name, password}
	}
}

func TestNameSharesNoMemoryWithThePassword(t *testing.T) {
	t.Parallel()
	_, b, _ := read(header("Basic " + b64("alice:wonderland")))
	for i, c := range b.Password.Expose() {
		b.Password.Expose()[i] = c ^ 0x20
	}
	if b.Name != "alice" {
		t.Errorf("name became %q", b.Name)
	}
	name := uintptr(unsafe.Pointer(unsafe.StringData(b.Name)))
	password := uintptr(unsafe.Pointer(unsafe.SliceData(b.Password.Expose())))
	if d := int(password) - int(name); 0 <= d && d <= len("alice:") {
		t.Error("the name points into the decoded bytes")
	}
}

func TestDefects(t *testing.T) {
	t.Parallel()
	if credential.NoDefect != 0 || credential.NoDefect.Reason() != "" {
		t.Error("the zero Defect is not NoDefect")
	}
	seen := map[attempt.Reason]bool{}
	for f := credential.DuplicateField; f <= credential.ControlCharacter; f++ {
		if f.Reason() == "" || seen[f.Reason()] || f.String() != string(f.Reason()) {
			t.Errorf("defect %d: reason %q", f, f.Reason())
		}
		seen[f.Reason()] = true
	}
	if got := credential.Defect(200); got.Reason() != "" || got.String() != "no_defect" {
		t.Errorf("an unknown defect: %q", got)
	}
}

func TestAllocations(t *testing.T) {
	if testkit.Race {
		return
	}
	r := browserRequest()
	if n := testing.AllocsPerRun(100, func() { credential.Split(r.Header, 0) }); n != 0 {
		t.Errorf("Split: %v allocations, want 0", n)
	}
	field, _ := credential.Split(r.Header, 0)
	if n := testing.AllocsPerRun(100, func() { field.Decode() }); n > 3 {
		t.Errorf("Decode: %v allocations, want at most 3", n)
	}
	long, _ := credential.Split(header("Basic "+b64(strings.Repeat("n", 1000)+":"+strings.Repeat("p", 4000))), 0)
	if n := testing.AllocsPerRun(100, func() { long.Decode() }); n > 3 {
		t.Errorf("Decode of a long token: %v allocations, want at most 3", n)
	}
	bad, _ := credential.Split(header("Basic "+strings.Repeat("!", 4000)), 0)
	if n := testing.AllocsPerRun(100, func() { bad.Decode() }); n > 3 {
		t.Errorf("Decode of garbage: %v allocations, want at most 3", n)
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	const canary = "canary-wonderland"
	for _, c := range []struct{ what, name, password string }{
		{"colon in the name", "al" + canary + ":ice", canary},
		{"control character in the name", canary + "\n", canary},
		{"DEL in the name", canary + "\x7f", canary},
		{"C1 control in the name", canary + "\u0085", canary},
		{"name that is not UTF-8", canary + "\xfc", canary},
		{"control character in the password", "alice", canary + "\n"},
		{"NUL in the password", "alice", canary + "\x00"},
	} {
		value, err := credential.Encode(c.name, credential.NewSecret(c.password))
		if err == nil || value != "" {
			t.Errorf("%s: no error", c.what)
			continue
		}
		if !strings.HasPrefix(err.Error(), "credential: ") || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	for realm, want := range map[string]string{
		"orders":     `Basic realm="orders", charset="UTF-8"`,
		"":           `Basic realm="", charset="UTF-8"`,
		`a "b" \c`:   `Basic realm="a \"b\" \\c", charset="UTF-8"`,
		"a, b; c=d":  `Basic realm="a, b; c=d", charset="UTF-8"`,
		"Aufträge €": `Basic realm="Aufträge €", charset="UTF-8"`,
	} {
		if got, err := credential.Challenge(realm); err != nil || got != want {
			t.Errorf("realm %q: %s, %v; want %s", realm, got, err, want)
		}
	}
	for _, realm := range []string{"a\nb", "a\r\nSet-Cookie: b", "\x00", "a\tb", "\x7f", "\u0085", "\xff"} {
		if got, err := credential.Challenge(realm); err == nil || got != "" {
			t.Errorf("realm %q: %q and no error", realm, got)
		}
	}
}
