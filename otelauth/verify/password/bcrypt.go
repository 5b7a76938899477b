// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"bytes"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// The parts of a bcrypt hash after "$2b$": two digits of cost and "$"; then in bcrypt's own
// base64 the salt of 16 bytes and the digest of 23 bytes.
const (
	bcryptSaltChars   = 22
	bcryptDigestChars = 31
	bcryptAlphabet    = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	bcryptMaxPassword = 72
)

var bcryptScheme = &scheme{
	name:        "bcrypt",
	text:        true,
	maxPassword: bcryptMaxPassword,
	match:       matchBcrypt,
	weak:        bcryptWeak,
}

// bcryptWeak reports a cost below 10, the minimum of the OWASP Password Storage Cheat Sheet.
func bcryptWeak(c class) bool { return c.cost < 10 }

// matchBcrypt denies a password with a NUL, after the work. bcrypt repeats the password and a NUL
// to fill its key. So "a" and "a\x00a" are one key in golang.org/x/crypto, and "a" and "a\x00b"
// are one key in the C implementations.
func matchBcrypt(s *stored, password []byte) bool {
	match := compareBcrypt(s, password)
	return match && bytes.IndexByte(password, 0) < 0
}

func compareBcrypt(s *stored, password []byte) bool {
	// $2a$, $2b$ and $2y$ are one algorithm in golang.org/x/crypto, so the letter is not kept.
	encoded := make([]byte, 0, 60)
	encoded = append(encoded, '$', '2', 'b', '$', byte('0'+s.class.cost/10), byte('0'+s.class.cost%10), '$')
	encoded = append(encoded, s.salt...)
	encoded = append(encoded, s.digest...)
	return bcrypt.CompareHashAndPassword(encoded, password) == nil
}

func parseBcrypt(s *scheme, limits Bounds, rest string) (*stored, error) {
	if len(rest) != 2+1+bcryptSaltChars+bcryptDigestChars || rest[2] != '$' {
		return nil, malformed(s, "a bcrypt hash has 60 characters; this one is cut off or has text after it; set the password again")
	}
	cost, ok := number(strings.TrimPrefix(rest[:2], "0"))
	if !ok {
		return nil, malformed(s, "the cost is not a number of two digits; set the password again")
	}
	if err := bcryptWithin(cost, limits); err != nil {
		return nil, err
	}
	salt, digest := rest[3:3+bcryptSaltChars], rest[3+bcryptSaltChars:]
	if strings.Trim(salt+digest, bcryptAlphabet) != "" {
		return nil, malformed(s, "a character is not in bcrypt's base64; set the password again")
	}
	// The last character of the salt has four unused bits. Some old implementations set them, and
	// every implementation ignores them. The two unused bits of the digest are compared, so a
	// hash that has them matches nothing.
	if strings.IndexByte(bcryptAlphabet, digest[len(digest)-1])%4 != 0 {
		return nil, malformed(s, "the last character is not one that bcrypt writes, so no password can match; set the password again")
	}
	return newStored(class{scheme: s, cost: cost}, salt, digest), nil
}

func bcryptWithin(cost uint32, limits Bounds) error {
	if cost < uint32(bcrypt.MinCost) || int64(cost) > int64(limits.BcryptCost) {
		return outOfBounds(bcryptScheme, "the cost", int64(bcrypt.MinCost), int64(limits.BcryptCost), "BcryptCost")
	}
	return nil
}
