// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"bytes"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// The parts of a bcrypt hash after "$2b$": two digits of cost, "$", and then in bcrypt's own base64 the salt of 16
// bytes and the digest of 23.
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

// bcryptWeak: OWASP Password Storage Cheat Sheet, bcrypt: work factor 10 or more.
func bcryptWeak(c class) bool { return c.cost < 10 }

// matchBcrypt refuses a NUL, after the work. bcrypt hashes the password with a NUL behind it, over and over: "a" and
// "a\x00a" are one key to golang.org/x/crypto, and to the C implementations "a" and "a\x00b" are.
func matchBcrypt(s *stored, password []byte) bool {
	match := compareBcrypt(s, password)
	return match && bytes.IndexByte(password, 0) < 0
}

func compareBcrypt(s *stored, password []byte) bool {
	// All of $2a$, $2b$ and $2y$ are one algorithm in golang.org/x/crypto, so the letter is not kept.
	encoded := make([]byte, 0, 60)
	encoded = append(encoded, '$', '2', 'b', '$', byte('0'+s.class.cost/10), byte('0'+s.class.cost%10), '$')
	encoded = append(encoded, s.salt...)
	encoded = append(encoded, s.digest...)
	return bcrypt.CompareHashAndPassword(encoded, password) == nil
}

func parseBcrypt(s *scheme, limits Bounds, rest string) (*stored, error) {
	if len(rest) != 2+1+bcryptSaltChars+bcryptDigestChars || rest[2] != '$' {
		return nil, malformed(s, "a bcrypt hash is 60 characters long; this one is cut off or has something behind it")
	}
	cost, ok := number(strings.TrimPrefix(rest[:2], "0"))
	if !ok {
		return nil, malformed(s, "the cost is not a number of two digits")
	}
	if err := bcryptWithin(cost, limits); err != nil {
		return nil, err
	}
	salt, digest := rest[3:3+bcryptSaltChars], rest[3+bcryptSaltChars:]
	if strings.Trim(salt+digest, bcryptAlphabet) != "" {
		return nil, malformed(s, "a character is not of bcrypt's base64")
	}
	// The salt's last character carries four stray bits, and some old implementations set them: they are ignored by
	// everyone. The two stray bits of the digest are compared, so a hash that has them matches nothing.
	if strings.IndexByte(bcryptAlphabet, digest[len(digest)-1])%4 != 0 {
		return nil, malformed(s, "the last character was changed: no password can match")
	}
	return newStored(class{scheme: s, cost: cost}, salt, digest), nil
}

func bcryptWithin(cost uint32, limits Bounds) error {
	if cost < uint32(bcrypt.MinCost) || int64(cost) > int64(limits.BcryptCost) {
		return outOfBounds(bcryptScheme, "the cost", int64(bcrypt.MinCost), int64(limits.BcryptCost), "BcryptCost")
	}
	return nil
}
