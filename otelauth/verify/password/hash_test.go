// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

func parse(t testing.TB, p password.Policy, encoded string) *password.Hash {
	t.Helper()
	h, err := p.Parse(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// cheap is one hash of each scheme, with the password "wonderland", at little cost.
func cheap(t testing.TB) []*password.Hash {
	t.Helper()
	have := map[string]bool{}
	var all []*password.Hash
	for _, v := range vectors(t) {
		if string(v.password) == "wonderland" && !have[v.scheme] {
			have[v.scheme] = true
			all = append(all, parse(t, everything, v.encoded))
		}
	}
	if len(all) != len(password.Schemes()) {
		t.Fatalf("%d hashes for %d schemes", len(all), len(password.Schemes()))
	}
	return all
}

func TestZeroHashDenies(t *testing.T) {
	t.Parallel()
	for _, h := range []*password.Hash{nil, {}} {
		if v := h.Verify(nil); v != (password.Verdict{}) {
			t.Errorf("Verify: %+v", v)
		}
		if h.Scheme() != "" || h.MemoryBytes() != 0 || h.RehashNeeded() || h.String() != "[redacted]" {
			t.Errorf("%q, %d, %v, %q", h.Scheme(), h.MemoryBytes(), h.RehashNeeded(), h)
		}
	}
}

func TestPrintsRedacted(t *testing.T) {
	t.Parallel()
	const encoded = "$2y$10$" + bcryptSalt + bcryptDigest
	h := parse(t, password.Policy{}, encoded)
	type account struct {
		Public  *password.Hash
		private *password.Hash
		byValue password.Hash
	}
	a := account{h, h, *h}
	var text bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%08b", "%t", "%T"} {
		fmt.Fprintf(&text, verb+" "+verb+" "+verb+"\n", h, *h, a)
		if got := fmt.Sprintf(verb, h); verb != "%T" && got != "[redacted bcrypt]" {
			t.Errorf("%s: %s", verb, got)
		}
	}
	slog.New(slog.NewJSONHandler(&text, nil)).Info("", "hash", h, "value", *h, "account", a)
	slog.New(slog.NewTextHandler(&text, nil)).Info("", "hash", h, "value", *h, "account", a)
	for _, v := range []any{h, *h, a} {
		j, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		text.Write(j)
	}
	x, err := xml.Marshal(h)
	if err != nil {
		t.Error(err)
	}
	text.Write(x)
	text.WriteString(fmt.Errorf("wrapped: %v", h).Error())
	for _, secret := range []string{encoded, bcryptSalt, bcryptDigest, fmt.Sprintf("%x", bcryptDigest), fmt.Sprint([]byte(bcryptDigest))} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("the hash was printed:\n%s", text.String())
		}
	}
	if !bytes.Contains(text.Bytes(), []byte(`"hash":"[redacted bcrypt]"`)) {
		t.Errorf("slog does not name the scheme:\n%s", text.String())
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	p := func(encoded string) *password.Hash { return parse(t, everything, encoded) }
	bcrypt := p("$2y$10$" + bcryptSalt + bcryptDigest)
	argon := p("$argon2id$v=19$m=64,t=1,p=1" + argon2idTail)
	hashes := []*password.Hash{
		bcrypt, argon,
		p("$2y$11$" + bcryptSalt + bcryptDigest),
		p("$2y$10$" + bcryptDigest[:21] + "." + bcryptDigest),
		p("$2y$10$" + bcryptSalt + bcryptDigest[1:] + "u"),
		p("bcrypt_sha256$$2y$10$" + bcryptSalt + bcryptDigest),
		p("$argon2id$v=19$m=65,t=1,p=1" + argon2idTail),
		p("$argon2id$v=19$m=64,t=2,p=1" + argon2idTail),
		p("$argon2id$v=19$m=64,t=1,p=2" + argon2idTail),
		p("$pbkdf2-sha256$1000" + argon2idTail),
		p("$pbkdf2-sha512$1000" + argon2idTail),
		password.NewMix(slices.Values([]*password.Hash{bcrypt})).Decoy(0),
		{},
	}
	for i, a := range hashes {
		for j, b := range hashes {
			if a.Equal(b) != (i == j) {
				t.Errorf("%d.Equal(%d) = %v", i, j, i != j)
			}
		}
		if a.Equal(nil) != (a.Scheme() == "") || (*password.Hash)(nil).Equal(a) != (a.Scheme() == "") {
			t.Errorf("%d and nil", i)
		}
	}
	for a, b := range map[*password.Hash]*password.Hash{
		bcrypt:                                  p("$2a$10$" + bcryptSalt + bcryptDigest),
		argon:                                   p("argon2$argon2id$v=19$m=64,t=1,p=1" + argon2idTail),
		p("$pbkdf2-sha256$1000" + argon2idTail): p("$pbkdf2-sha256$i=1000,l=32" + argon2idTail),
		p("$6$saltstring$" + sha512Digest):      p("$6$rounds=5000$saltstring$" + sha512Digest),
	} {
		if !a.Equal(b) {
			t.Errorf("two spellings of one %s hash differ", a.Scheme())
		}
	}
}

func TestMemoryBytes(t *testing.T) {
	t.Parallel()
	for encoded, want := range map[string]int64{
		"$2y$10$" + bcryptSalt + bcryptDigest:            8 << 10,
		"$argon2id$v=19$m=102400,t=2,p=8" + argon2idTail: 100 << 20,
		"$argon2id$v=19$m=70,t=2,p=3" + argon2idTail:     60 << 10,
		"$scrypt$ln=17,r=8,p=1" + argon2idTail:           128<<20 + 3*1024,
		"$6$saltstring$" + sha512Digest:                  8 << 10,
	} {
		h := parse(t, password.Policy{}, encoded)
		if h.MemoryBytes() != want {
			t.Errorf("%s: %d bytes, want %d", encoded, h.MemoryBytes(), want)
		}
	}
}

func TestRehashNeeded(t *testing.T) {
	t.Parallel()
	// The rows of the OWASP Password Storage Cheat Sheet, and just below them.
	for encoded, want := range map[string]bool{
		"$2y$09$" + bcryptSalt + bcryptDigest:                                 true,
		"$2y$10$" + bcryptSalt + bcryptDigest:                                 false,
		"$argon2id$v=19$m=47104,t=1,p=1" + argon2idTail:                       false,
		"$argon2id$v=19$m=47103,t=1,p=1" + argon2idTail:                       true,
		"$argon2id$v=19$m=19456,t=2,p=1" + argon2idTail:                       false,
		"$argon2id$v=19$m=19455,t=2,p=1" + argon2idTail:                       true,
		"$argon2id$v=19$m=12288,t=3,p=1" + argon2idTail:                       false,
		"$argon2id$v=19$m=9216,t=4,p=1" + argon2idTail:                        false,
		"$argon2id$v=19$m=7168,t=5,p=1" + argon2idTail:                        false,
		"$argon2id$v=19$m=7167,t=50,p=1" + argon2idTail:                       true,
		"$argon2id$v=19$m=102400,t=2,p=8" + argon2idTail:                      false,
		"$scrypt$ln=17,r=8,p=1" + argon2idTail:                                false,
		"$scrypt$ln=16,r=8,p=1" + argon2idTail:                                true,
		"$scrypt$ln=13,r=8,p=10" + argon2idTail:                               false,
		"$scrypt$ln=17,r=7,p=1" + argon2idTail:                                true,
		"$pbkdf2-sha256$600000" + argon2idTail:                                false,
		"$pbkdf2-sha256$599999" + argon2idTail:                                true,
		"$pbkdf2-sha512$210000" + argon2idTail:                                false,
		"$pbkdf2-sha512$209999" + argon2idTail:                                true,
		"$pbkdf2$1300000" + argon2idTail:                                      false,
		"$pbkdf2$1299999" + argon2idTail:                                      true,
		"$6$rounds=656000$saltstring$" + sha512Digest:                         true,
		"{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=":                                   true,
		"bcrypt_sha256$$2b$12$" + bcryptSalt + bcryptDigest:                   false,
		"pbkdf2_sha256$2100000$saltsaltsaltsaltsalts0$" + digest32 + "=":      false,
		"pbkdf2_sha1$20000$saltsaltsalt$" + digest32[:len(digest32)-1] + "A=": true,
	} {
		if got := parse(t, everything, encoded).RehashNeeded(); got != want {
			t.Errorf("%s: %v, want %v", encoded, got, want)
		}
	}

	today := everything
	today.Today = password.Params{Scheme: "bcrypt", BcryptCost: 12}
	for encoded, want := range map[string]bool{
		"$2y$11$" + bcryptSalt + bcryptDigest:               true,
		"$2y$12$" + bcryptSalt + bcryptDigest:               false,
		"bcrypt_sha256$$2b$12$" + bcryptSalt + bcryptDigest: false,
		"$argon2id$v=19$m=102400,t=2,p=8" + argon2idTail:    true,
	} {
		if got := parse(t, today, encoded).RehashNeeded(); got != want {
			t.Errorf("today bcrypt 12, %s: %v, want %v", encoded, got, want)
		}
	}
	today.Today.BcryptCost = 17
	if _, err := today.Parse("$2y$12$" + bcryptSalt + bcryptDigest); !errors.Is(err, password.ErrOutOfBounds) {
		t.Errorf("a Today that cannot be had: %v", err)
	}
	today.Today = password.Params{MemoryKiB: 65536, Passes: 3}
	for encoded, want := range map[string]bool{
		"$argon2id$v=19$m=65536,t=3,p=1" + argon2idTail:  false,
		"$argon2id$v=19$m=102400,t=2,p=8" + argon2idTail: true,
		"$argon2id$v=19$m=65535,t=3,p=8" + argon2idTail:  true,
		"$2y$12$" + bcryptSalt + bcryptDigest:            true,
	} {
		if got := parse(t, today, encoded).RehashNeeded(); got != want {
			t.Errorf("today argon2id 64 MiB, %s: %v, want %v", encoded, got, want)
		}
	}
}

func TestVerifyDoesNotChangeThePassword(t *testing.T) {
	t.Parallel()
	for _, h := range cheap(t) {
		buf := []byte("wonderland and what follows it in the same buffer")
		want := slices.Clone(buf)
		if !h.Verify(buf[:len("wonderland")]).Match {
			t.Errorf("%s: no match", h.Scheme())
		}
		if !bytes.Equal(buf, want) {
			t.Errorf("%s: the password's buffer was written to", h.Scheme())
		}
	}
}

func TestVerifyConcurrently(t *testing.T) {
	t.Parallel()
	for _, h := range cheap(t) {
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				if pw := []string{"wonderland", "looking-glass"}[i%2]; h.Verify([]byte(pw)).Match != (i%2 == 0) {
					t.Errorf("%s, %s: wrong verdict", h.Scheme(), pw)
				}
			})
		}
		wg.Wait()
	}
}

func TestParamsHash(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		params password.Params
		prefix string
	}{
		{password.Params{}, "$argon2id$v=19$m=19456,t=2,p=1$"},
		{password.Params{Scheme: "argon2id", MemoryKiB: 64, Passes: 1, Lanes: 2}, "$argon2id$v=19$m=64,t=1,p=2$"},
		{password.Params{Scheme: "bcrypt", BcryptCost: 4}, "$2a$04$"},
	} {
		passwords := []string{"wonderland"}
		if c.params != (password.Params{}) {
			passwords = append(passwords, "", "Gr\xfc\xdfe")
		}
		for _, pw := range passwords {
			encoded, err := c.params.Hash([]byte(pw), nil)
			if err != nil || !strings.HasPrefix(encoded, c.prefix) {
				t.Fatalf("%+v: %q, %v", c.params, encoded, err)
			}
			h := parse(t, password.Policy{}, encoded)
			if !h.Verify([]byte(pw)).Match || h.Verify([]byte(pw+"x")).Match {
				t.Errorf("%+v, %q: wrong verdict", c.params, pw)
			}
			if again, err := c.params.Hash([]byte(pw), nil); err != nil || again == encoded {
				t.Errorf("%+v: the same salt twice, %v", c.params, err)
			}
		}
	}
	params := password.Params{MemoryKiB: 64}
	a, _ := params.Hash(nil, bytes.NewReader(make([]byte, 16)))
	b, _ := params.Hash(nil, bytes.NewReader(make([]byte, 16)))
	if a == "" || a != b {
		t.Error("the salt does not come from the given source")
	}
	if _, err := params.Hash(nil, bytes.NewReader(make([]byte, 15))); err == nil {
		t.Error("15 bytes made a salt of 16")
	}
	for _, c := range []struct {
		params   password.Params
		password string
		want     error
	}{
		{password.Params{Scheme: "bcrypt", BcryptCost: 4}, strings.Repeat("x", 73), password.ErrTooLong},
		{password.Params{Scheme: "bcrypt", BcryptCost: 4}, "a\x00a", password.ErrTooLong},
		{password.Params{MemoryKiB: 64}, strings.Repeat("x", password.MaxPasswordBytes+1), password.ErrTooLong},
		{password.Params{Scheme: "bcrypt", BcryptCost: 3}, "", password.ErrOutOfBounds},
		{password.Params{Scheme: "bcrypt", BcryptCost: -1}, "", password.ErrOutOfBounds},
		{password.Params{Scheme: "bcrypt", BcryptCost: 17}, "", password.ErrOutOfBounds},
		{password.Params{MemoryKiB: 1 << 20}, "", password.ErrOutOfBounds},
		{password.Params{Scheme: "sha"}, "", password.ErrUnknownScheme},
	} {
		if _, err := c.params.Hash([]byte(c.password), nil); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.params, err, c.want)
		}
	}
}
