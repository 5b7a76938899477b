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

// The sizes of new argon2id hashes, RFC 9106 section 4, and the parameters of the OWASP Password Storage Cheat Sheet.
const (
	newSaltBytes, newDigestBytes = 16, 32

	defaultMemoryKiB  = 19456
	defaultPasses     = 2
	defaultLanes      = 1
	defaultBcryptCost = 12
)

// Params are how a new hash is made.
//
// The zero Params are argon2id with 19 MiB, 2 passes and 1 lane, the OWASP Password Storage Cheat Sheet's first choice. Each
// zero field means its default by itself. They must be within the default [Bounds]. Params are a value and safe for concurrent use.
type Params struct {
	// Scheme is "argon2id" or "bcrypt". Default "argon2id".
	Scheme string
	// MemoryKiB is argon2id's memory. Default 19456 KiB (19 MiB).
	MemoryKiB uint32
	// Passes is argon2id's number of passes. Default 2.
	Passes uint32
	// Lanes is argon2id's parallelism. Default 1.
	Lanes uint8
	// BcryptCost is bcrypt's cost, 4 to 16. Default 12; the cheat sheet's minimum is 10.
	BcryptCost int
}

// class returns the defaults filled in, without the lengths of salt and digest.
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
	return class{}, &ParseError{kind: ErrUnknownScheme, Reason: "new hashes are made with argon2id or bcrypt; set Params.Scheme to one of them"}
}

// Hash makes a new hash of password, which [Parse] accepts. random gives the salt; nil is crypto/rand. bcrypt takes
// its salt from crypto/rand in any case, since golang.org/x/crypto/bcrypt lets no one choose it.
//
// The errors: [ErrTooLong] for more than [MaxPasswordBytes] (bcrypt: 72 bytes, or a NUL), [ErrOutOfBounds] and
// [ErrUnknownScheme] for the Params, or what random returned. An empty password is hashed like any other.
func (p Params) Hash(password []byte, random io.Reader) (encoded string, err error) {
	c, err := p.class()
	if err != nil {
		return "", err
	}
	if len(password) > c.scheme.maxPassword || c.scheme == bcryptScheme && bytes.IndexByte(password, 0) >= 0 {
		return "", fmt.Errorf("%w: %s takes at most %d bytes", ErrTooLong, c.scheme.name, c.scheme.maxPassword)
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
		return "", fmt.Errorf("password: no salt could be read: %w", err)
	}
	digest := argon2.IDKey(password, salt, c.cost, c.memory, uint8(c.lanes), newDigestBytes)
	enc := phcBase64()
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s",
		c.memory, c.cost, c.lanes, enc.EncodeToString(salt), enc.EncodeToString(digest)), nil
}
