// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"errors"
	"math"
)

// Policy selects which stored hashes are accepted and which of them are weak.
//
// The zero Policy accepts every scheme in the package's table that is not legacy, within the
// default [Bounds]. It compares hashes with the OWASP Password Storage Cheat Sheet. A Policy is a
// value: copies are independent, and all methods are safe for concurrent use.
type Policy struct {
	// DangerouslyAllowLegacy also accepts apr1, ssha and sha, for the time of a migration. An
	// attacker who steals such a file recovers the passwords: one graphics card tries 10⁷ (apr1)
	// to 10¹⁰ (sha) passwords a second. Default: false.
	DangerouslyAllowLegacy bool
	// Django also accepts the encodings of Django's auth_user.password. Default: false, so that a
	// htpasswd file does not accept them by accident.
	Django bool
	// Max bounds the cost of one verification. The zero Bounds are the defaults.
	Max Bounds
	// Today is how new hashes are made. [Hash.RehashNeeded] then reports a hash of another
	// scheme, or a cheaper one. The zero Params compare each scheme with the minimum of the cheat
	// sheet instead. Parse refuses every hash if Today is not valid.
	Today Params
}

// Bounds are the largest costs that a stored hash may have. A zero or negative field has its
// default. The defaults admit the default hashes of every current framework (Django: PBKDF2 with
// over two million iterations, argon2id with 100 MiB and 8 lanes). They keep one verification
// below a second, except for bcrypt at its bound.
type Bounds struct {
	// BcryptCost is the largest cost, the logarithm of the rounds. Default: 16 (about 4 s); at
	// most 31.
	BcryptCost int
	// MemoryBytes is the memory of one argon2id or scrypt verification, in bytes. Default: 256
	// MiB. The memory over all passes (argon2id: memory × passes; scrypt: memory × p) may be four
	// times as much.
	MemoryBytes int64
	// Argon2Lanes is the largest parallelism of argon2id; each lane is a goroutine. Default: 32;
	// at most 255.
	Argon2Lanes int
	// PBKDF2Iterations is the largest count, divided by the number of key blocks. Default:
	// 5,000,000 (about 0.8 s).
	PBKDF2Iterations int
	// SHACryptRounds is the largest "rounds=" of $5$ and $6$. Default: 1,000,000 (0.25 s; 0.9 s
	// for a password of 256 bytes).
	SHACryptRounds int
}

func (b Bounds) orDefaults() Bounds {
	def := func(v *int, byDefault, ceiling int) {
		if *v <= 0 {
			*v = byDefault
		}
		*v = min(*v, ceiling)
	}
	def(&b.BcryptCost, 16, 31)
	def(&b.Argon2Lanes, 32, math.MaxUint8)
	def(&b.PBKDF2Iterations, 5_000_000, math.MaxInt32)
	def(&b.SHACryptRounds, 1_000_000, 999_999_999)
	if b.MemoryBytes <= 0 {
		b.MemoryBytes = 256 << 20
	}
	b.MemoryBytes = min(b.MemoryBytes, math.MaxInt/4)
	return b
}

// weak reports whether hashes of class c are weaker than today's policy.
func (p Policy) weak(c class) (bool, error) {
	if p.Today == (Params{}) {
		return c.scheme.weak == nil || c.scheme.weak(c), nil
	}
	today, err := p.Today.class()
	if err != nil {
		return false, &ParseError{Reason: "Policy.Today: " + err.Error(), kind: errors.Unwrap(err)}
	}
	return c.scheme.name != today.scheme.name || c.cost < today.cost || c.memory < today.memory, nil
}
