// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

const (
	bcryptSalt   = "NHrP6Gf32BqG3eukxAQfI."
	bcryptDigest = "lPdxzsuRi/iqHljiMih2sRSzLIvsYtW"
	salt16       = "c2FsdHNhbHRzYWx0c2FsdA"
	digest32     = "ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0MDA"
	sha256Digest = "5gPJGpZ13TyYl5jVPnZ3VjqjLBUDOYbLL4nPeHtmZ50"
)

var (
	sha512Digest = strings.Repeat("a", 85) + "."
	argon2idTail = "$" + salt16 + "$" + digest32
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		encoded string
		want    error
		text    string
	}{
		{"empty", "", password.ErrUnknownScheme, "never accepted"},
		{"plaintext", "correct-horse-battery", password.ErrUnknownScheme, "plaintext"},
		{"DES crypt", "abJnggxhB/yWI", password.ErrUnknownScheme, "DES crypt"},
		{"BSDi", "_J9..rasmBYk8r9AiWNc", password.ErrUnknownScheme, "never accepted"},
		{"LDAP cleartext", "{CLEARTEXT}wonderland", password.ErrUnknownScheme, "LDAP"},
		{"LDAP crypt", "{CRYPT}$6$saltstring$x", password.ErrUnknownScheme, "LDAP"},
		{"lower-case sha", "{sha}VBPuJHI7uixaa6LQGWx4s+5GKNE=", password.ErrUnknownScheme, "LDAP"},
		{"md5-crypt", "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", password.ErrUnknownScheme, "md5-crypt"},
		{"yescrypt", "$y$j9T$saltsalt$digestdigest", password.ErrUnknownScheme, "yescrypt"},
		{"argon2i", "$argon2i$v=19$m=19456,t=2,p=1" + argon2idTail, password.ErrUnknownScheme, "argon2i is not supported"},
		{"argon2d", "$argon2d$v=19$m=19456,t=2,p=1" + argon2idTail, password.ErrUnknownScheme, "argon2d is not supported"},
		{"unknown dollar", "$future$v=1$x$y", password.ErrUnknownScheme, "no scheme"},
		{"bcrypt 2x", "$2x$10$" + bcryptSalt + bcryptDigest, password.ErrUnknownScheme, "CVE-2011-2483"},
		{"bcrypt 2", "$2$10$" + bcryptSalt + bcryptDigest, password.ErrUnknownScheme, "bcrypt"},
		{"leading space", " $2y$10$" + bcryptSalt + bcryptDigest, password.ErrUnknownScheme, ""},
		{"too long", strings.Repeat("$6$", 1000), password.ErrUnknownScheme, "longer"},

		{"bcrypt trailing space", "$2y$10$" + bcryptSalt + bcryptDigest + " ", password.ErrMalformed, "60 characters"},
		{"bcrypt cut off", "$2y$10$" + bcryptSalt + bcryptDigest[:30], password.ErrMalformed, "60 characters"},
		{"bcrypt nothing", "$2y$", password.ErrMalformed, "60 characters"},
		{"bcrypt sign", "$2y$+9$" + bcryptSalt + bcryptDigest, password.ErrMalformed, "two digits"},
		{"bcrypt alphabet", "$2y$10$" + bcryptSalt + "=" + bcryptDigest[1:], password.ErrMalformed, "base64"},
		{"bcrypt stray bits", "$2y$10$" + bcryptSalt + bcryptDigest[:30] + "X", password.ErrMalformed, "no password can match"},
		{"bcrypt cost 0", "$2y$00$" + bcryptSalt + bcryptDigest, password.ErrOutOfBounds, "4 to 16"},
		{"bcrypt cost 3", "$2y$03$" + bcryptSalt + bcryptDigest, password.ErrOutOfBounds, "4 to 16"},
		{"bcrypt cost 17", "$2y$17$" + bcryptSalt + bcryptDigest, password.ErrOutOfBounds, "BcryptCost"},

		{"argon2id 4 GiB", "$argon2id$v=19$m=4194304,t=1,p=1" + argon2idTail, password.ErrOutOfBounds, "262144"},
		{"argon2id overflow", "$argon2id$v=19$m=99999999999999999999,t=1,p=1" + argon2idTail, password.ErrOutOfBounds, "MemoryBytes"},
		{"argon2id below 8p", "$argon2id$v=19$m=63,t=1,p=8" + argon2idTail, password.ErrOutOfBounds, "m, the memory"},
		{"argon2id no passes", "$argon2id$v=19$m=64,t=0,p=1" + argon2idTail, password.ErrOutOfBounds, "t, the passes"},
		{"argon2id many passes", "$argon2id$v=19$m=262144,t=5,p=1" + argon2idTail, password.ErrOutOfBounds, "1 to 4"},
		{"argon2id no lanes", "$argon2id$v=19$m=64,t=1,p=0" + argon2idTail, password.ErrOutOfBounds, "p, the lanes"},
		{"argon2id 33 lanes", "$argon2id$v=19$m=65536,t=1,p=33" + argon2idTail, password.ErrOutOfBounds, "Argon2Lanes"},
		{"argon2id 256 lanes", "$argon2id$v=19$m=65536,t=1,p=256" + argon2idTail, password.ErrOutOfBounds, "Argon2Lanes"},
		{"argon2id version 1.0", "$argon2id$v=16$m=64,t=1,p=1" + argon2idTail, password.ErrMalformed, "v=19"},
		{"argon2id no version", "$argon2id$m=64,t=1,p=1" + argon2idTail, password.ErrMalformed, ""},
		{"argon2id order", "$argon2id$v=19$t=1,m=64,p=1" + argon2idTail, password.ErrMalformed, "m=,t=,p="},
		{"argon2id twice", "$argon2id$v=19$m=64,t=1,p=1,p=1" + argon2idTail, password.ErrMalformed, "m=,t=,p="},
		{"argon2id negative", "$argon2id$v=19$m=64,t=-1,p=1" + argon2idTail, password.ErrMalformed, ""},
		{"argon2id leading zero", "$argon2id$v=19$m=064,t=1,p=1" + argon2idTail, password.ErrMalformed, ""},
		{"argon2id no digest", "$argon2id$v=19$m=64,t=1,p=1$" + salt16 + "$", password.ErrOutOfBounds, "digest"},
		{"argon2id no salt", "$argon2id$v=19$m=64,t=1,p=1$$" + digest32, password.ErrOutOfBounds, "salt"},
		{"argon2id padded", "$argon2id$v=19$m=64,t=1,p=1" + argon2idTail + "=", password.ErrMalformed, "base64"},
		{"argon2id line end", "$argon2id$v=19$m=64,t=1,p=1" + argon2idTail + "\n", password.ErrMalformed, "base64"},
		{"argon2id salt line end", "$argon2id$v=19$m=64,t=1,p=1$\n" + salt16 + "$" + digest32, password.ErrMalformed, "base64"},
		{"argon2id stray bits", "$argon2id$v=19$m=64,t=1,p=1$" + salt16 + "$" + digest32[:42] + "B", password.ErrMalformed, "base64"},
		{"argon2id huge digest", "$argon2id$v=19$m=64,t=1,p=1$" + salt16 + "$" + strings.Repeat("AAAA", 22), password.ErrOutOfBounds, "digest"},

		{"scrypt 1 GiB", "$scrypt$ln=20,r=8,p=1" + argon2idTail, password.ErrOutOfBounds, "memory"},
		{"scrypt ln 0", "$scrypt$ln=0,r=8,p=1" + argon2idTail, password.ErrOutOfBounds, "ln"},
		{"scrypt ln 63", "$scrypt$ln=63,r=8,p=1" + argon2idTail, password.ErrOutOfBounds, "ln"},
		{"scrypt r 0", "$scrypt$ln=10,r=0,p=1" + argon2idTail, password.ErrOutOfBounds, "r "},
		{"scrypt r huge", "$scrypt$ln=10,r=4294967295,p=1" + argon2idTail, password.ErrOutOfBounds, "r "},
		{"scrypt p 0", "$scrypt$ln=10,r=8,p=0" + argon2idTail, password.ErrOutOfBounds, "p "},
		{"scrypt p slow", "$scrypt$ln=17,r=8,p=8" + argon2idTail, password.ErrOutOfBounds, "p for this much memory"},
		{"scrypt short", "$scrypt$ln=10,r=8,p=1$" + salt16, password.ErrMalformed, ""},

		{"pbkdf2 one iteration", "$pbkdf2-sha256$1" + argon2idTail, password.ErrOutOfBounds, "1000 to 5000000"},
		{"pbkdf2 too many", "$pbkdf2-sha256$i=5000001" + argon2idTail, password.ErrOutOfBounds, "PBKDF2Iterations"},
		{"pbkdf2 too many for two blocks", "$pbkdf2$2500001" + argon2idTail, password.ErrOutOfBounds, "2500000"},
		{"pbkdf2 length", "$pbkdf2-sha256$i=1000,l=33" + argon2idTail, password.ErrMalformed, "l="},
		{"pbkdf2 no number", "$pbkdf2-sha256$i=" + argon2idTail, password.ErrMalformed, "29000"},
		{"pbkdf2 sha384", "$pbkdf2-sha384$29000" + argon2idTail, password.ErrUnknownScheme, ""},

		{"sha256-crypt rounds", "$5$rounds=999999999$saltstring$" + sha256Digest, password.ErrOutOfBounds, "1000000"},
		{"sha512-crypt rounds", "$6$rounds=999999999$saltstring$" + sha512Digest, password.ErrOutOfBounds, "SHACryptRounds"},
		{"sha512-crypt few rounds", "$6$rounds=10$saltstring$" + sha512Digest, password.ErrOutOfBounds, "1000"},
		{"sha512-crypt rounds text", "$6$rounds=many$saltstring$" + sha512Digest, password.ErrMalformed, "rounds"},
		{"sha512-crypt rounds end", "$6$rounds=5000", password.ErrMalformed, "rounds"},
		{"sha512-crypt empty salt", "$6$$" + sha512Digest, password.ErrMalformed, "salt"},
		{"sha512-crypt long salt", "$6$12345678901234567$" + sha512Digest, password.ErrMalformed, "salt"},
		{"sha512-crypt no digest", "$6$saltstring", password.ErrMalformed, ""},
		{"sha512-crypt cut off", "$6$saltstring$" + sha512Digest[1:], password.ErrMalformed, "cut off"},
		{"sha512-crypt stray bits", "$6$saltstring$" + strings.Repeat("a", 86), password.ErrMalformed, "changed"},
		{"sha256-crypt alphabet", "$5$saltstring$" + strings.Repeat("+", 43), password.ErrMalformed, ""},
		{"sha256-crypt setting alone", "$5$saltstring$", password.ErrMalformed, ""},

		{"apr1 salt", "$apr1$123456789$" + strings.Repeat("a", 21) + ".", password.ErrMalformed, "8 characters"},
		{"apr1 rounds", "$apr1$rounds=1$" + strings.Repeat("a", 21) + ".", password.ErrMalformed, ""},
		{"apr1 no digest", "$apr1$saltsalt", password.ErrMalformed, ""},
		{"sha empty", "{SHA}", password.ErrMalformed, "20 bytes"},
		{"sha no base64", "{SHA}!!!!", password.ErrMalformed, "base64"},
		{"sha line end", "{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=\n", password.ErrMalformed, "base64"},
		{"ssha without salt", "{SSHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=", password.ErrOutOfBounds, "salt"},

		{"django unusable", "!Tf9aMOcYc8a1UxLE2A7RkwYd4G6bFQ", password.ErrUnusable, "without a usable password"},
		{"django argon2i", "argon2$argon2i$v=19$m=64,t=1,p=1" + argon2idTail, password.ErrUnknownScheme, "argon2id"},
		{"django short salt", "pbkdf2_sha256$1000$salt$" + digest32 + "=", password.ErrOutOfBounds, "salt"},
		{"django no padding", "pbkdf2_sha256$1000$saltsalt$" + digest32, password.ErrMalformed, "base64"},
		{"django scrypt N", "scrypt$1000$saltsalt$8$1$" + digest32 + "=", password.ErrMalformed, "power of two"},
		{"django bcrypt one dollar", "bcrypt$2b$04$" + bcryptSalt + bcryptDigest, password.ErrMalformed, ""},
		{"django md5", "md5$saltsalt$d41d8cd98f00b204e9800998ecf8427e", password.ErrUnknownScheme, "plaintext"},
	}
	for _, c := range cases {
		h, err := everything.Parse(c.encoded)
		if h != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v, %v, want %v", c.name, h, err, c.want)
			continue
		}
		if !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %q does not contain %q", c.name, err, c.text)
		}
		checkHoldsNothing(t, err, c.encoded)
	}
}

// checkHoldsNothing fails if the error shows a field of the stored text in any verb.
func checkHoldsNothing(t *testing.T, err error, encoded string) {
	t.Helper()
	var pe *password.ParseError
	if !errors.As(err, &pe) {
		t.Fatalf("%T is not a *ParseError", err)
	}
	if !strings.HasPrefix(err.Error(), "password: ") {
		t.Errorf("%q does not begin with the package", err)
	}
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", *pe)} {
		for _, f := range strings.FieldsFunc(encoded, func(r rune) bool { return r == '$' || r == '}' || r == '=' || r == ',' }) {
			if len(f) > 12 && !slices.Contains(password.Schemes(), f) && strings.Contains(text, f) {
				t.Errorf("the error holds %q", f)
			}
		}
	}
}

func TestParseAcceptsDefaultsOfOthers(t *testing.T) {
	t.Parallel()
	for name, encoded := range map[string]string{
		"Django 6 PBKDF2":           "pbkdf2_sha256$2100000$saltsaltsaltsaltsalts0$" + digest32 + "=",
		"Django argon2id":           "argon2$argon2id$v=19$m=102400,t=2,p=8" + argon2idTail,
		"Django scrypt":             "scrypt$16384$saltsaltsaltsalt$8$5$" + digest32 + "=",
		"RFC 9106, second option":   "$argon2id$v=19$m=65536,t=3,p=4" + argon2idTail,
		"OWASP scrypt":              "$scrypt$ln=17,r=8,p=1" + argon2idTail,
		"passlib sha512_crypt":      "$6$rounds=656000$saltstringsaltst$" + sha512Digest,
		"Caddy bcrypt":              "$2a$14$" + bcryptSalt + bcryptDigest,
		"bcrypt at the bound":       "$2b$16$" + bcryptSalt + bcryptDigest,
		"argon2id at the bound":     "$argon2id$v=19$m=262144,t=4,p=32" + argon2idTail,
		"PBKDF2 at the bound":       "$pbkdf2-sha512$5000000" + argon2idTail,
		"SHA-crypt at the bound":    "$5$rounds=1000000$s$" + strings.Repeat("a", 42) + "/",
		"scrypt with little memory": "$scrypt$ln=13,r=8,p=10" + argon2idTail,
	} {
		if _, err := everything.Parse(encoded); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBoundsAreThePolicys(t *testing.T) {
	t.Parallel()
	p := password.Policy{Max: password.Bounds{
		BcryptCost: 9, MemoryBytes: 1 << 20, Argon2Lanes: 2, PBKDF2Iterations: 2000, SHACryptRounds: 1500,
	}}
	for encoded, ok := range map[string]bool{
		"$2y$09$" + bcryptSalt + bcryptDigest:          true,
		"$2y$10$" + bcryptSalt + bcryptDigest:          false,
		"$argon2id$v=19$m=1024,t=4,p=2" + argon2idTail: true,
		"$argon2id$v=19$m=1024,t=5,p=2" + argon2idTail: false,
		"$argon2id$v=19$m=1025,t=1,p=2" + argon2idTail: false,
		"$argon2id$v=19$m=1024,t=1,p=3" + argon2idTail: false,
		"$scrypt$ln=9,r=8,p=4" + argon2idTail:          true,
		"$scrypt$ln=10,r=8,p=1" + argon2idTail:         false,
		"$pbkdf2-sha256$2000" + argon2idTail:           true,
		"$pbkdf2-sha256$2001" + argon2idTail:           false,
		"$6$rounds=1500$saltstring$" + sha512Digest:    true,
		"$6$rounds=1501$saltstring$" + sha512Digest:    false,
	} {
		_, err := p.Parse(encoded)
		if (err == nil) != ok || err != nil && !errors.Is(err, password.ErrOutOfBounds) {
			t.Errorf("%s: %v", encoded, err)
		}
	}
	// Above what the algorithms themselves can do, a bound is cut.
	p.Max = password.Bounds{BcryptCost: 99, Argon2Lanes: 999, MemoryBytes: 1 << 40}
	for _, encoded := range []string{
		"$2y$32$" + bcryptSalt + bcryptDigest,
		"$argon2id$v=19$m=65536,t=1,p=256" + argon2idTail,
	} {
		if _, err := p.Parse(encoded); !errors.Is(err, password.ErrOutOfBounds) {
			t.Errorf("%s: %v", encoded, err)
		}
	}
}
