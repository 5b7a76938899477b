// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strings"
)

// The minima are those of the OWASP Password Storage Cheat Sheet for PBKDF2.
var (
	pbkdf2SHA1   = newPBKDF2Scheme("pbkdf2-sha1", sha1.New, sha1.Size, 1_300_000)
	pbkdf2SHA256 = newPBKDF2Scheme("pbkdf2-sha256", sha256.New, sha256.Size, 600_000)
	pbkdf2SHA512 = newPBKDF2Scheme("pbkdf2-sha512", sha512.New, sha512.Size, 210_000)
)

func newPBKDF2Scheme(name string, h func() hash.Hash, block int, minimum uint32) *scheme {
	return &scheme{
		name:  name,
		block: block,
		// HMAC hashes a long password once (RFC 2104 section 2), so its length costs almost
		// nothing.
		maxPassword: MaxPasswordBytes,
		match: func(s *stored, password []byte) bool {
			// Only FIPS 140-3 mode returns an error, for a short salt. The password is then
			// wrong.
			key, err := pbkdf2.Key(h, string(password), s.salt, int(s.class.cost), int(s.class.digest))
			return err == nil && s.equal(key)
		},
		weak: func(c class) bool { return c.cost < minimum },
	}
}

// parsePBKDF2 reads the text after "$pbkdf2-sha256$": passlib's "29000$salt$digest" and the PHC
// string's "i=29000$salt$digest", which may have the length of the digest as "i=29000,l=32".
func parsePBKDF2(s *scheme, limits Bounds, rest string) (*stored, error) {
	f := strings.Split(rest, "$")
	if len(f) != 3 {
		return nil, malformed(s, "it must read $pbkdf2-…$iterations$salt$digest")
	}
	var n []uint32
	var ok bool
	switch {
	case strings.Contains(f[0], ","):
		n, ok = parameters(f[0], "i", "l")
	case strings.HasPrefix(f[0], "i="):
		n, ok = parameters(f[0], "i")
	default:
		n = make([]uint32, 1)
		n[0], ok = number(f[0])
	}
	if !ok {
		return nil, malformed(s, "the iterations must read 29000, i=29000 or i=29000,l=32")
	}
	// passlib's base64 writes "." for "+".
	salt, digest, err := saltAndDigest(s, phcBase64(), strings.ReplaceAll(f[1], ".", "+"), strings.ReplaceAll(f[2], ".", "+"))
	if err != nil {
		return nil, err
	}
	if len(n) == 2 && int(n[1]) != len(digest) {
		return nil, malformed(s, "the digest does not have the length in l=")
	}
	return newPBKDF2(s, limits, n[0], salt, digest)
}

func newPBKDF2(s *scheme, limits Bounds, iterations uint32, salt, digest []byte) (*stored, error) {
	// RFC 8018 section 4.2 requires at least 1,000. Each further block of the key costs all
	// iterations again (section 5.2).
	const least = 1000
	blocks := (len(digest) + s.block - 1) / s.block
	if most := int64(limits.PBKDF2Iterations / blocks); int64(iterations) < least || int64(iterations) > most {
		return nil, outOfBounds(s, "the iterations", least, most, "PBKDF2Iterations")
	}
	return newStored(class{scheme: s, cost: iterations}, salt, digest), nil
}
