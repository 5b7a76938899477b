// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password_test

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

func decode(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzParse checks that Parse accepts or refuses any text without showing it, and that every
// accepted hash can be verified.
func FuzzParse(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.encoded, v.password)
	}
	f.Add("$argon2id$v=19$m=64,t=1,p=8"+argon2idTail, []byte("x"))
	f.Add("$scrypt$ln=1,r=1,p=1"+argon2idTail, []byte{0})
	policy := password.Policy{
		DangerouslyAllowLegacy: true, Django: true,
		Max: password.Bounds{BcryptCost: 4, MemoryBytes: 256 << 10, Argon2Lanes: 8, PBKDF2Iterations: 2000, SHACryptRounds: 1500},
	}
	f.Fuzz(func(t *testing.T, encoded string, pw []byte) {
		h, err := policy.Parse(encoded)
		if err != nil {
			var pe *password.ParseError
			if h != nil || !errors.As(err, &pe) || errors.Unwrap(pe) == nil {
				t.Fatalf("%v, %#v", h, err)
			}
			if len(encoded) > 40 && strings.Contains(err.Error(), encoded) {
				t.Fatalf("the error holds the text: %v", err)
			}
			return
		}
		if h.String() != "[redacted "+h.Scheme()+"]" || h.MemoryBytes() <= 0 || h.MemoryBytes() > 256<<10 {
			t.Fatalf("%s: %d bytes", h, h.MemoryBytes())
		}
		if again, err := policy.Parse(encoded); err != nil || !h.Equal(again) {
			t.Fatalf("parsed twice, %v", err)
		}
		decoy := password.NewMix(slices.Values([]*password.Hash{h})).Decoy(1)
		if v, d := h.Verify(pw), decoy.Verify(pw); d.Match || d.TooLong != v.TooLong || !password.SameClass(decoy, h) {
			t.Fatalf("%+v and the decoy %+v", v, d)
		}
	})
}

// FuzzVerify checks that a hash matches its password and no other.
func FuzzVerify(f *testing.F) {
	f.Add([]byte("wonderland"), []byte("builder"))
	f.Add([]byte(""), []byte{0})
	f.Add([]byte("a"), []byte("a\x00a"))
	f.Add([]byte(strings.Repeat("x", 72)), []byte(strings.Repeat("x", 73)))
	f.Fuzz(func(t *testing.T, pw, other []byte) {
		for _, params := range []password.Params{{Scheme: "bcrypt", BcryptCost: 4}, {MemoryKiB: 64, Passes: 1}} {
			encoded, err := params.Hash(pw, nil)
			if errors.Is(err, password.ErrTooLong) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			h := parse(t, password.Policy{}, encoded)
			if !h.Verify(pw).Match {
				t.Fatalf("%s: the password does not match", h.Scheme())
			}
			if h.Verify(other).Match != (string(pw) == string(other)) {
				t.Fatalf("%s: another password", h.Scheme())
			}
		}
	})
}
