// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math/bits"
	"strings"
)

// bcryptSHA256 is Django's bcrypt over the hexadecimal SHA-256 of the password, which removes the
// limit of 72 bytes.
var bcryptSHA256 = &scheme{
	name:        "bcrypt",
	text:        true,
	maxPassword: MaxPasswordBytes,
	match: func(s *stored, password []byte) bool {
		sum := sha256.Sum256(password)
		var text [2 * sha256.Size]byte
		hex.Encode(text[:], sum[:])
		return compareBcrypt(s, text[:])
	},
	weak: bcryptWeak,
}

// The text before the first "$" in Django's hashes (django.contrib.auth.hashers), and the "!"
// that marks an unusable password.
const (
	djangoUnusable     = "!"
	djangoPBKDF2SHA256 = "pbkdf2_sha256"
	djangoPBKDF2SHA1   = "pbkdf2_sha1"
	djangoArgon2       = "argon2"
	djangoBcrypt       = "bcrypt"
	djangoBcryptSHA256 = "bcrypt_sha256"
	djangoScrypt       = "scrypt"
)

func isDjango(encoded string) bool {
	if strings.HasPrefix(encoded, djangoUnusable) {
		return true
	}
	algorithm, _, ok := strings.Cut(encoded, "$")
	if !ok {
		return false
	}
	switch algorithm {
	case djangoPBKDF2SHA256, djangoPBKDF2SHA1, djangoArgon2, djangoBcrypt, djangoBcryptSHA256, djangoScrypt:
		return true
	}
	return false
}

func parseDjango(limits Bounds, encoded string) (*stored, error) {
	algorithm, rest, _ := strings.Cut(encoded, "$")
	switch algorithm {
	case djangoPBKDF2SHA256:
		return parseDjangoPBKDF2(pbkdf2SHA256, limits, rest)
	case djangoPBKDF2SHA1:
		return parseDjangoPBKDF2(pbkdf2SHA1, limits, rest)
	case djangoArgon2:
		after, ok := strings.CutPrefix(rest, "argon2id$")
		if !ok {
			return nil, &ParseError{kind: ErrUnknownScheme,
				Reason: "of Django's argon2 only argon2id (Django 3.2 and later) is supported; set the password again"}
		}
		return parseArgon2id(argon2idScheme, limits, after)
	case djangoBcrypt, djangoBcryptSHA256:
		s := bcryptScheme
		if algorithm == djangoBcryptSHA256 {
			s = bcryptSHA256
		}
		for _, version := range [...]string{"$2b$", "$2a$", "$2y$"} {
			if after, ok := strings.CutPrefix(rest, version); ok {
				return parseBcrypt(s, limits, after)
			}
		}
		return nil, malformed(s, "it must read "+algorithm+"$$2b$")
	case djangoScrypt:
		return parseDjangoScrypt(scryptScheme, limits, rest)
	}
	return nil, &ParseError{Reason: "Django marks this account as one without a usable password; set a password in Django", kind: ErrUnusable}
}

// parseDjangoPBKDF2 reads "iterations$salt$digest". The salt is text and is not decoded.
func parseDjangoPBKDF2(s *scheme, limits Bounds, rest string) (*stored, error) {
	f := strings.Split(rest, "$")
	if len(f) != 3 {
		return nil, malformed(s, "it must read pbkdf2_…$iterations$salt$digest")
	}
	iterations, ok := number(f[0])
	if !ok {
		return nil, malformed(s, "the iterations are not a decimal number")
	}
	digest, err := djangoDigest(s, f[1], f[2])
	if err != nil {
		return nil, err
	}
	return newPBKDF2(s, limits, iterations, []byte(f[1]), digest)
}

// parseDjangoScrypt reads "N$salt$r$p$digest". The salt is text and is not decoded.
func parseDjangoScrypt(s *scheme, limits Bounds, rest string) (*stored, error) {
	f := strings.Split(rest, "$")
	if len(f) != 5 {
		return nil, malformed(s, "it must read scrypt$N$salt$r$p$digest")
	}
	var n [3]uint32
	for i, text := range [...]string{f[0], f[2], f[3]} {
		var ok bool
		if n[i], ok = number(text); !ok {
			return nil, malformed(s, "a parameter is not a decimal number")
		}
	}
	if bits.OnesCount32(n[0]) != 1 {
		return nil, malformed(s, "N is not a power of two")
	}
	digest, err := djangoDigest(s, f[1], f[4])
	if err != nil {
		return nil, err
	}
	return newScrypt(s, limits, uint32(bits.TrailingZeros32(n[0])), n[1], n[2], []byte(f[1]), digest)
}

// djangoDigest decodes the digest and checks the size of the salt beside it.
func djangoDigest(s *scheme, salt, digest string) ([]byte, error) {
	b, err := decodeDigest(s, base64.StdEncoding.Strict(), digest)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(b), checkSalt(s, len(salt))
}
