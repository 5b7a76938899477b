// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"strings"

	"golang.org/x/crypto/argon2"
)

var argon2idScheme = &scheme{
	name:        "argon2id",
	maxPassword: MaxPasswordBytes,
	match: func(s *stored, password []byte) bool {
		c := s.class
		return s.equal(argon2.IDKey(password, s.salt, c.cost, c.memory, uint8(c.lanes), uint32(c.digest)))
	},
	weak: argon2idWeak,
	memory: func(c class) int64 {
		// RFC 9106 section 3.2 rounds m down to a multiple of 4 p.
		return int64(c.memory/(4*c.lanes)*(4*c.lanes)) << 10
	},
}

// argon2idWeak reports whether c has less memory or passes than each of the five settings for
// argon2id in the OWASP Password Storage Cheat Sheet. They have p = 1.
func argon2idWeak(c class) bool {
	for _, minimum := range [...]struct{ kib, passes uint32 }{
		{47104, 1}, {19456, 2}, {12288, 3}, {9216, 4}, {7168, 5},
	} {
		if c.memory >= minimum.kib && c.cost >= minimum.passes {
			return false
		}
	}
	return true
}

// parseArgon2id reads the text after "$argon2id$". It does not support the fields "keyid" and
// "data" of the PHC string.
func parseArgon2id(s *scheme, limits Bounds, rest string) (*stored, error) {
	f := strings.Split(rest, "$")
	if len(f) != 4 {
		return nil, malformed(s, "it must read $argon2id$v=19$m=,t=,p=$salt$digest")
	}
	if f[0] != "v=19" {
		return nil, malformed(s, "only version 1.3 (v=19) is supported; set the password again")
	}
	n, ok := parameters(f[1], "m", "t", "p")
	if !ok {
		return nil, malformed(s, "the parameters must read m=,t=,p= with decimal numbers")
	}
	c := class{scheme: s, memory: n[0], cost: n[1], lanes: n[2]}
	if err := argon2idWithin(c, limits); err != nil {
		return nil, err
	}
	salt, digest, err := saltAndDigest(s, phcBase64(), f[2], f[3])
	if err != nil {
		return nil, err
	}
	return newStored(c, salt, digest), nil
}

func argon2idWithin(c class, limits Bounds) error {
	if c.lanes < 1 || int64(c.lanes) > int64(limits.Argon2Lanes) {
		return outOfBounds(argon2idScheme, "p, the lanes,", 1, int64(limits.Argon2Lanes), "Argon2Lanes")
	}
	// RFC 9106 section 3.1: at least 8 p.
	if least, most := int64(8*c.lanes), limits.MemoryBytes>>10; int64(c.memory) < least || int64(c.memory) > most {
		return outOfBounds(argon2idScheme, "m, the memory in KiB,", least, most, "MemoryBytes")
	}
	if most := limits.MemoryBytes >> 10 * 4 / int64(c.memory); c.cost < 1 || int64(c.cost) > most {
		return outOfBounds(argon2idScheme, "t, the passes over this much memory,", 1, most, "MemoryBytes")
	}
	return nil
}
