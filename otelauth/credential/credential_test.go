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

// read is Split and Decode, as the pipeline calls them.
func read(h http.Header) (credential.Field, credential.Basic, credential.Fault) {
	field, fault := credential.Split(h, 0)
	if fault != credential.NoFault || field.Scheme != attempt.SchemeBasic {
		return field, credential.Basic{}, fault
	}
	b, fault := field.Decode()
	return field, b, fault
}

// TestVectors also holds the table in the package comment to account: what net/http does is asserted beside
// what we do. Flaw 16 of the known ones (the first of two fields, CR and NUL in names) is among the vectors.
func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range vectors() {
		t.Run(v.what, func(t *testing.T) {
			t.Parallel()
			field, b, fault := read(header(v.values...))
			if field.Scheme != v.scheme || fault != v.fault {
				t.Fatalf("scheme %s, fault %s; want %s, %s", field.Scheme, fault, v.scheme, v.fault)
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
				if fault == credential.NoFault && name == b.Name && password == string(b.Password.Expose()) {
					got = agrees
				}
			}
			if got != v.basicAuth {
				t.Errorf("net/http: %d, want %d (name %q, ok %t)", got, v.basicAuth, name, ok)
			}
		})
	}
}

func TestFaultLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, v := range vectors() {
		field, fault := credential.Split(header(v.values...), 0)
		if fault != credential.NoFault && field.Token != "" {
			t.Errorf("%s: fault %s with a token", v.what, fault)
		}
		if b, fault := field.Decode(); fault != credential.NoFault && (b.Name != "" || b.Password.Len() != 0) {
			t.Errorf("%s: fault %s with a credential", v.what, fault)
		}
	}
}

func TestSplitBound(t *testing.T) {
	t.Parallel()
	value := "Basic " + b64("alice:wonderland")
	for _, c := range []struct {
		maxBytes int
		value    string
		want     credential.Fault
	}{
		{len(value), value, credential.NoFault},
		{len(value) - 1, value, credential.TooLong},
		{len(value) - 1, "Bearer" + value[5:], credential.TooLong},
		{0, "Basic " + strings.Repeat("A", 8<<10-6), credential.NoFault},
		{0, "Basic " + strings.Repeat("A", 8<<10-5), credential.TooLong},
		{-1, "Basic " + strings.Repeat("A", 8<<10-6), credential.NoFault},
		{0, "Basic " + strings.Repeat(" ", 900<<10), credential.TooLong},
	} {
		if _, fault := credential.Split(header(c.value), c.maxBytes); fault != c.want {
			t.Errorf("%d octets, bound %d: %s, want %s", len(c.value), c.maxBytes, fault, c.want)
		}
	}
}

func TestZeroFieldDecodes(t *testing.T) {
	t.Parallel()
	if _, fault := (credential.Field{}).Decode(); fault != credential.Empty {
		t.Errorf("fault %s, want %s", fault, credential.Empty)
	}
}

// Every way of cutting the same octets in two is another token: a cache keyed with the token cannot be made to
// confuse name and password (CVE-2022-46146, GHSA-6765-c87h-8mrf).
func TestTokenIsInjective(t *testing.T) {
	t.Parallel()
	tokens := map[string][2]string{}
	const octets = "alicewonderland"
	for i := range len(octets) {
		name, password := octets[:i], octets[i:]
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
		t.Error("the name points into the decoded octets")
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	if credential.NoFault != 0 || credential.NoFault.Reason() != "" {
		t.Error("the zero Fault is not NoFault")
	}
	seen := map[attempt.Reason]bool{}
	for f := credential.DuplicateField; f <= credential.ControlCharacter; f++ {
		if f.Reason() == "" || seen[f.Reason()] || f.String() != string(f.Reason()) {
			t.Errorf("fault %d: reason %q", f, f.Reason())
		}
		seen[f.Reason()] = true
	}
	if got := credential.Fault(200); got.Reason() != "" || got.String() != "no_fault" {
		t.Errorf("a fault outside the constants: %q", got)
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
