// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Sizes of new argon2id hashes (RFC 9106 section 4) and default parameters (OWASP Password
// Storage Cheat Sheet).
const (
	newSaltBytes, newDigestBytes = 16, 32

	defaultMemoryKiB  = 19456
	defaultPasses     = 2
	defaultLanes      = 1
	defaultBcryptCost = 12
)

// Params are the scheme and the parameters of new hashes.
//
// The zero Params are argon2id with 19 MiB, 2 passes and 1 lane, the first choice of the OWASP
// Password Storage Cheat Sheet. Each zero field has its own default. All values must be within
// the default [Bounds]. Params are a value and safe for concurrent use.
type Params struct {
	// Scheme is "argon2id" or "bcrypt". Default: "argon2id".
	Scheme string
	// MemoryKiB is the memory of argon2id in KiB. Default: 19456 (19 MiB).
	MemoryKiB uint32
	// Passes is the number of passes of argon2id. Default: 2.
	Passes uint32
	// Lanes is the parallelism of argon2id. Default: 1.
	Lanes uint8
	// BcryptCost is the cost of bcrypt, 4 to 16. Default: 12. The cheat sheet's minimum is 10.
	BcryptCost int
}

// class returns p with its defaults, without the lengths of salt and digest.
func (p Params) class() (class, error) {
	or := func(v, byDefault uint32) uint32 {
		if v == 0 {
			return byDefault
		}
		return v
	}
	limits := Bounds{}.orDefaults()
	switch p.Scheme {
	case "", argon2idScheme.name:
		c := class{
			scheme: argon2idScheme,
			memory: or(p.MemoryKiB, defaultMemoryKiB),
			cost:   or(p.Passes, defaultPasses),
			lanes:  or(uint32(p.Lanes), defaultLanes),
		}
		return c, argon2idWithin(c, limits)
	case bcryptScheme.name:
		if p.BcryptCost < 0 {
			return class{}, bcryptWithin(0, limits)
		}
		c := class{scheme: bcryptScheme, cost: or(uint32(min(p.BcryptCost, 100)), defaultBcryptCost)}
		return c, bcryptWithin(c.cost, limits)
	}
	return class{}, &ParseError{kind: ErrUnknownScheme, Reason: "new hashes use argon2id or bcrypt; set Params.Scheme to one of them"}
}

// Hash returns a new hash of password, which [Parse] accepts. The salt is read from random; nil
// means crypto/rand. bcrypt always reads its salt from crypto/rand, because
// golang.org/x/crypto/bcrypt accepts no other source. An empty password is hashed like any other.
//
// Errors: [ErrTooLong] for more than [MaxPasswordBytes] (bcrypt: more than 72 bytes, or a NUL),
// [ErrOutOfBounds] and [ErrUnknownScheme] for bad Params, and the error of random.
func (p Params) Hash(password []byte, random io.Reader) (encoded string, err error) {
	c, err := p.class()
	if err != nil {
		return "", err
	}
	if len(password) > c.scheme.maxPassword || c.scheme == bcryptScheme && bytes.IndexByte(password, 0) >= 0 {
		return "", fmt.Errorf("%w: %s accepts at most %d bytes; choose a shorter password", ErrTooLong, c.scheme.name, c.scheme.maxPassword)
	}
	if c.scheme == bcryptScheme {
		b, err := bcrypt.GenerateFromPassword(password, int(c.cost))
		if err != nil {
			return "", fmt.Errorf("password: bcrypt: %w", err)
		}
		return string(b), nil
	}
	if random == nil {
		random = rand.Reader
	}
	salt := make([]byte, newSaltBytes)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("password: cannot read a random salt: %w", err)
	}
	digest := argon2.IDKey(password, salt, c.cost, c.memory, uint8(c.lanes), newDigestBytes)
	enc := phcBase64()
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s",
		c.memory, c.cost, c.lanes, enc.EncodeToString(salt), enc.EncodeToString(digest)), nil
}
