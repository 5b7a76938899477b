// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"

	"github.com/go-crypt/x/crypt"
)

// The numbers in Drepper's "Unix crypt using SHA-256 and SHA-512", 2007.
const (
	shaCryptDefaultRounds = 5000
	shaCryptMinRounds     = 1000
	shaCryptMaxSaltChars  = 16
)

// maxCryptPassword is the longest password of the crypt schemes, in bytes. Every round hashes the
// password up to three times, and SHA-crypt begins with one copy of the password for each of its
// bytes: 32 kB take 1.9 s with 5,000 rounds. ASVS 5.0, 6.2.9 requires 64 characters, which are at
// most 256 bytes in UTF-8.
const maxCryptPassword = 256

var (
	sha256Crypt = newSHACryptScheme("sha256-crypt", sha256.New)
	sha512Crypt = newSHACryptScheme("sha512-crypt", sha512.New)
)

func newSHACryptScheme(name string, h func() hash.Hash) *scheme {
	return &scheme{
		name:        name,
		text:        true,
		maxPassword: maxCryptPassword,
		match: func(s *stored, password []byte) bool {
			return s.equal(crypt.KeySHACrypt(h, password, s.salt, int(s.class.cost)))
		},
	}
}

// parseSHACrypt reads the text after "$5$" or "$6$": "salt$digest" or "rounds=10000$salt$digest".
func parseSHACrypt(s *scheme, limits Bounds, rest string) (*stored, error) {
	rounds := uint32(shaCryptDefaultRounds)
	if after, ok := strings.CutPrefix(rest, "rounds="); ok {
		var text string
		if text, rest, ok = strings.Cut(after, "$"); ok {
			rounds, ok = number(text)
		}
		if !ok {
			return nil, malformed(s, "the rounds must read rounds=10000")
		}
	}
	salt, digest, ok := strings.Cut(rest, "$")
	if !ok {
		return nil, malformed(s, "it must read salt$digest after the rounds")
	}
	// crypt(3) never writes fewer rounds than 1,000.
	if rounds < shaCryptMinRounds || int64(rounds) > int64(limits.SHACryptRounds) {
		return nil, outOfBounds(s, "rounds", shaCryptMinRounds, int64(limits.SHACryptRounds), "SHACryptRounds")
	}
	if len(salt) > shaCryptMaxSaltChars || !isCrypt64(salt, len(salt), 6) {
		return nil, malformed(s, "the salt must be 1 to 16 characters of ./0-9A-Za-z")
	}
	// 32 bytes leave 4 bits for the last of 43 characters, 64 bytes leave 2 bits for the last of
	// 86.
	chars, lastBits := 43, 4
	if s == sha512Crypt {
		chars, lastBits = 86, 2
	}
	if !isCrypt64(digest, chars, lastBits) {
		return nil, malformed(s, "the digest is not one that crypt(3) writes: it is cut off or changed; set the password again")
	}
	return newStored(class{scheme: s, cost: rounds}, salt, digest), nil
}
