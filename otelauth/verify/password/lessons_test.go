// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// TestUnknownSchemeIsNotPlaintext: go-htpasswd takes an unknown scheme for plaintext, so the
// stored text of an $argon2id$ line is the password.
func TestUnknownSchemeIsNotPlaintext(t *testing.T) {
	t.Parallel()
	for _, stored := range []string{
		"$argon2id$v=19$m=65536,t=3,p=99" + argon2idTail,
		"$future$v=1$salt$digest",
		"wonderland",
		"",
	} {
		h, err := everything.Parse(stored)
		if err == nil || h != nil {
			t.Errorf("%q was parsed", stored)
		}
		if h.Verify([]byte(stored)).Match {
			t.Errorf("%q is its own password", stored)
		}
	}
	for _, v := range vectors(t) {
		if string(v.password) == "wonderland" && !v.costly() && parse(t, everything, v.encoded).Verify([]byte(v.encoded)).Match {
			t.Errorf("%s: the stored text is its own password", v.madeBy)
		}
	}
}

// TestEmptyHashIsRefused: go-htpasswd accepts the empty password for the line "alice:".
func TestEmptyHashIsRefused(t *testing.T) {
	t.Parallel()
	for _, stored := range []string{"", "$2y$", "$6$", "$5$$", "$apr1$$", "{SHA}", "{SSHA}", "$argon2id$", "bcrypt$", "argon2$"} {
		h, err := everything.Parse(stored)
		if err == nil || h.Verify(nil).Match || h.Verify([]byte("")).Match {
			t.Errorf("%q: %v", stored, err)
		}
	}
	for _, h := range cheap(t) {
		if h.Verify(nil).Match || h.Verify([]byte{}).Match {
			t.Errorf("%s: the empty password matches", h.Scheme())
		}
	}
}

// TestLongPasswordsAreRefused: $6$ with a password of 32 kB takes 1.9 s elsewhere. No scheme
// hashes more than its bound.
func TestLongPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	bounds := map[string]int{"bcrypt": 72, "sha256-crypt": 256, "sha512-crypt": 256, "apr1": 256}
	for _, h := range cheap(t) {
		bound, ok := bounds[h.Scheme()]
		if !ok {
			bound = password.MaxPasswordBytes
		}
		for n, tooLong := range map[int]bool{0: false, bound: false, bound + 1: true, 32 << 10: true, 700 << 10: true} {
			v := h.Verify([]byte(strings.Repeat("x", n)))
			if v.Match || v.TooLong != tooLong {
				t.Errorf("%s, %d bytes: %+v", h.Scheme(), n, v)
			}
		}
	}
}

// TestTooLongIsNeverTruncated: every scheme denies a password that is too long, even if its
// beginning is right.
func TestTooLongIsNeverTruncated(t *testing.T) {
	t.Parallel()
	params := password.Params{MemoryKiB: 64, Passes: 1}
	right := strings.Repeat("x", password.MaxPasswordBytes)
	encoded, err := params.Hash([]byte(right), nil)
	if err != nil {
		t.Fatal(err)
	}
	h := parse(t, password.Policy{}, encoded)
	if v := h.Verify([]byte(right)); v != (password.Verdict{Match: true}) {
		t.Errorf("4096 bytes: %+v", v)
	}
	if v := h.Verify([]byte(right + "y")); v != (password.Verdict{TooLong: true}) {
		t.Errorf("4097 bytes: %+v", v)
	}
}

// TestBcryptDoesNotTruncateAt72: bcrypt ignores the bytes after the 72nd, so a longer password is
// refused.
func TestBcryptDoesNotTruncateAt72(t *testing.T) {
	t.Parallel()
	n := 0
	for _, v := range vectors(t) {
		if v.scheme != "bcrypt" || len(v.password) != 72 {
			continue
		}
		n++
		h := parse(t, everything, v.encoded)
		if got := h.Verify(v.password); got != (password.Verdict{Match: true}) {
			t.Errorf("%s: 72 bytes: %+v", v.madeBy, got)
		}
		if got := h.Verify(append(v.password[:72:72], 'y')); got != (password.Verdict{TooLong: true}) {
			t.Errorf("%s: 73 bytes: %+v", v.madeBy, got)
		}
	}
	if n == 0 {
		t.Error("no vector of 72 bytes")
	}
}

// TestBcryptRefusesNUL: bcrypt repeats the password and a NUL until 72 bytes are full. Without
// this rule "a\x00a" has the hash of "a".
func TestBcryptRefusesNUL(t *testing.T) {
	t.Parallel()
	for _, pw := range []string{"", "a", "wonderland"} {
		encoded, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte(pw), nil)
		if err != nil {
			t.Fatal(err)
		}
		h := parse(t, password.Policy{}, encoded)
		for _, twin := range []string{pw + "\x00" + pw, pw + "\x00", "\x00" + pw, pw + "\x00x"} {
			if h.Verify([]byte(twin)).Match {
				t.Errorf("%q has the hash of %q", twin, pw)
			}
		}
	}
}

// TestParseErrorNeverHoldsTheHash: the error for a refused line may be logged, so it must not
// hold the stored text.
func TestParseErrorNeverHoldsTheHash(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		for _, broken := range []string{v.encoded + "!", v.encoded[1:], v.encoded[:len(v.encoded)-1], "x" + v.encoded} {
			_, err := everything.Parse(broken)
			var pe *password.ParseError
			if errors.As(err, &pe) {
				checkHoldsNothing(t, err, broken)
			} else if err != nil {
				t.Errorf("%T", err)
			}
		}
	}
}
