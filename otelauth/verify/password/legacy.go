// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"crypto/sha1"
	"encoding/base64"
	"strings"

	"github.com/GehirnInc/crypt/apr1_crypt"
)

var (
	apr1Scheme = &scheme{name: "apr1", legacy: true, text: true, maxPassword: maxCryptPassword, match: matchAPR1}
	sshaScheme = &scheme{name: "ssha", legacy: true, maxPassword: MaxPasswordBytes, match: matchSHA}
	shaScheme  = &scheme{name: "sha", legacy: true, maxPassword: MaxPasswordBytes, match: matchSHA}
)

const (
	apr1DigestChars  = 22
	apr1MaxSaltChars = 8
	// LDAP servers write 4 or 8 bytes of salt.
	sshaMinSaltBytes, sshaMaxSaltBytes = 4, maxSaltBytes
)

// matchAPR1 verifies Apache's variant of md5-crypt, which always has 1,000 rounds.
func matchAPR1(s *stored, password []byte) bool {
	setting := make([]byte, 0, 16)
	setting = append(setting, apr1_crypt.MagicPrefix...)
	setting = append(setting, s.salt...)
	encoded, err := apr1_crypt.New().Generate(password, append(setting, '$'))
	if err != nil || len(encoded) < apr1DigestChars {
		return false // only for a setting without a salt, which parseAPR1 refuses
	}
	return s.equal([]byte(encoded[len(encoded)-apr1DigestChars:]))
}

func parseAPR1(s *scheme, _ Bounds, rest string) (*stored, error) {
	salt, digest, _ := strings.Cut(rest, "$")
	// 16 bytes leave 2 bits for the last of 22 characters.
	if len(salt) > apr1MaxSaltChars || !isCrypt64(salt, len(salt), 6) || !isCrypt64(digest, apr1DigestChars, 2) {
		return nil, malformed(s, "it must read $apr1$, up to 8 characters of salt, $, and 22 characters of digest")
	}
	return newStored(class{scheme: s}, salt, digest), nil
}

// matchSHA verifies SHA-1 over the password and the salt. {SHA} has no salt.
func matchSHA(s *stored, password []byte) bool {
	h := sha1.New()
	h.Write(password)
	h.Write(s.salt)
	var sum [sha1.Size]byte
	return s.equal(h.Sum(sum[:0]))
}

func parseSHA(s *scheme, _ Bounds, rest string) (*stored, error) {
	b, err := decodeSHA(s, rest)
	if err != nil {
		return nil, err
	}
	if len(b) != sha1.Size {
		return nil, malformed(s, "the digest must be 20 bytes long")
	}
	return newStored(class{scheme: s}, nil, b), nil
}

func parseSSHA(s *scheme, _ Bounds, rest string) (*stored, error) {
	b, err := decodeSHA(s, rest)
	if err != nil {
		return nil, err
	}
	if n := len(b) - sha1.Size; n < sshaMinSaltBytes || n > sshaMaxSaltBytes {
		return nil, outOfBounds(s, "the length of the salt in bytes", sshaMinSaltBytes, sshaMaxSaltBytes, "")
	}
	return newStored(class{scheme: s}, b[sha1.Size:], b[:sha1.Size]), nil
}

func decodeSHA(s *scheme, rest string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(rest)
	if err != nil || strings.ContainsAny(rest, "\r\n") {
		return nil, malformed(s, "the text after the braces is not base64; set the password again")
	}
	return b, nil
}
