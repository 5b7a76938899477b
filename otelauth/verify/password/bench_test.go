// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Every scheme with the parameters that are common in practice.
var inTheField = []string{
	"$2y$08$" + bcryptSalt + bcryptDigest,
	"$2y$10$" + bcryptSalt + bcryptDigest,
	"$2y$12$" + bcryptSalt + bcryptDigest,
	"bcrypt_sha256$$2y$10$" + bcryptSalt + bcryptDigest,
	"$argon2id$v=19$m=19456,t=2,p=1" + argon2idTail,
	"$scrypt$ln=14,r=8,p=5" + argon2idTail,
	"$pbkdf2-sha256$600000" + argon2idTail,
	"$pbkdf2-sha512$210000" + argon2idTail,
	"$pbkdf2$100000" + argon2idTail,
	"$5$saltstringsaltst$" + sha256Digest,
	"$6$saltstringsaltst$" + sha512Digest,
	"$6$rounds=656000$saltstringsaltst$" + sha512Digest,
	"$apr1$saltsalt$" + "qHDFfhPC4ktCxjMbnfs6l.",
	"{SSHA}Gu3vBxJw4Lz7V1cxyEXx4D4vWZR2c2FsdHNhbHQ=",
	"{SHA}VBPuJHI7uixaa6LQGWx4s+5GKNE=",
}

// BenchmarkKnownVsDecoy compares a wrong password on a real hash and on its decoy. Both must cost
// the same, or the time reveals which names are accounts.
func BenchmarkKnownVsDecoy(b *testing.B) {
	wrong := []byte("looking-glass")
	for i, encoded := range inTheField {
		known := parse(b, everything, encoded)
		decoy := password.NewMix(slices.Values([]*password.Hash{known})).Decoy(1)
		name := fmt.Sprintf("%02d_%s", i, known.Scheme())
		for _, c := range []struct {
			name string
			hash *password.Hash
		}{{"known", known}, {"decoy", decoy}} {
			b.Run(name+"/"+c.name, func(b *testing.B) {
				for b.Loop() {
					c.hash.Verify(wrong)
				}
			})
		}
	}
}

// BenchmarkTooLong compares an ordinary wrong password with one that is too long.
func BenchmarkTooLong(b *testing.B) {
	long := slices.Repeat([]byte("x"), 8<<10)
	for _, encoded := range []string{"$2y$08$" + bcryptSalt + bcryptDigest, "$argon2id$v=19$m=4096,t=2,p=1" + argon2idTail, "$6$saltstringsaltst$" + sha512Digest} {
		h := parse(b, everything, encoded)
		for _, pw := range [][]byte{long[:13], long} {
			b.Run(fmt.Sprintf("%s/%d", h.Scheme(), len(pw)), func(b *testing.B) {
				for b.Loop() {
					h.Verify(pw)
				}
			})
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, encoded := range []string{inTheField[1], inTheField[4], inTheField[6], inTheField[10]} {
		h := parse(b, everything, encoded)
		b.Run(h.Scheme(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = everything.Parse(encoded)
			}
		})
	}
}

// BenchmarkMix builds the mix of 100,000 accounts and chooses decoys from it.
func BenchmarkMix(b *testing.B) {
	hashes := mixed(b, 60_000, 30_000, 10_000)
	b.Run("build/100000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			password.NewMix(slices.Values(hashes))
		}
	})
	m := password.NewMix(slices.Values(hashes))
	b.Run("decoy", func(b *testing.B) {
		b.ReportAllocs()
		for key := uint64(0); b.Loop(); key++ {
			m.Decoy(key)
		}
	})
}
