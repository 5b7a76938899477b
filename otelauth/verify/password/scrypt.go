// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"strings"

	"golang.org/x/crypto/scrypt"
)

var scryptScheme = &scheme{
	name:        "scrypt",
	maxPassword: MaxPasswordBytes,
	match: func(s *stored, password []byte) bool {
		c := s.class
		// An error means parameters that newScrypt refuses, so the password is wrong.
		key, err := scrypt.Key(password, s.salt, 1<<c.cost, int(c.memory), int(c.lanes), int(c.digest))
		return err == nil && s.equal(key)
	},
	weak:   scryptWeak,
	memory: func(c class) int64 { return scryptMemory(c.cost, c.memory, c.lanes) },
}

// scryptWeak reports whether c is weaker than each of the five settings for scrypt in the OWASP
// Password Storage Cheat Sheet.
func scryptWeak(c class) bool {
	for _, minimum := range [...]struct{ ln, p uint32 }{{17, 1}, {16, 2}, {15, 3}, {14, 5}, {13, 10}} {
		if c.cost >= minimum.ln && c.memory >= 8 && c.lanes >= minimum.p {
			return false
		}
	}
	return true
}

// scryptMemory returns the size of V, B and XY of RFC 7914 section 6 in bytes.
func scryptMemory(ln, r, p uint32) int64 {
	return 128*int64(r)<<ln + 128*int64(r)*int64(p) + 256*int64(r)
}

// parseScrypt reads the text after "$scrypt$": the PHC string of passlib and of node's
// @phc/scrypt.
func parseScrypt(s *scheme, limits Bounds, rest string) (*stored, error) {
	f := strings.Split(rest, "$")
	if len(f) != 3 {
		return nil, malformed(s, "it must read $scrypt$ln=,r=,p=$salt$digest")
	}
	n, ok := parameters(f[0], "ln", "r", "p")
	if !ok {
		return nil, malformed(s, "the parameters must read ln=,r=,p= with decimal numbers")
	}
	salt, digest, err := saltAndDigest(s, phcBase64(), f[1], f[2])
	if err != nil {
		return nil, err
	}
	return newScrypt(s, limits, n[0], n[1], n[2], salt, digest)
}

func newScrypt(s *scheme, limits Bounds, ln, r, p uint32, salt, digest []byte) (*stored, error) {
	// These keep the arithmetic within 64 bits. The effective bound is the memory below.
	const maxLn, maxRP = 30, 1 << 15
	switch {
	case ln < 1 || ln > maxLn:
		return nil, outOfBounds(s, "ln, the logarithm of N,", 1, maxLn, "")
	case r < 1 || r > maxRP:
		return nil, outOfBounds(s, "r", 1, maxRP, "")
	case p < 1 || p > maxRP:
		return nil, outOfBounds(s, "p", 1, maxRP, "")
	}
	if scryptMemory(ln, r, p) > limits.MemoryBytes {
		return nil, outOfBounds(s, "the memory in bytes, 128 r (N + p + 2),", 1, limits.MemoryBytes, "MemoryBytes")
	}
	if most := 4 * limits.MemoryBytes / scryptMemory(ln, r, 0); int64(p) > most {
		return nil, outOfBounds(s, "p for this much memory", 1, most, "MemoryBytes")
	}
	return newStored(class{scheme: s, cost: ln, memory: r, lanes: p}, salt, digest), nil
}
