// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"bytes"
	"crypto/subtle"
)

// MaxPasswordBytes is the longest password that any scheme accepts. bcrypt and the crypt schemes
// accept less; see the package's table.
const MaxPasswordBytes = 4096

// A scheme is one hash algorithm. Its values never change.
type scheme struct {
	name        string
	legacy      bool
	text        bool // salt and digest are compared in their encoded form
	maxPassword int  // bytes
	block       int  // bytes of key that PBKDF2 makes in one go; else 0

	// match does the work of one verification and compares in constant time.
	match func(s *stored, password []byte) bool
	// weak reports whether a class is below the OWASP minimum; nil for schemes that are always
	// weak.
	weak func(c class) bool
	// memory returns the memory of one verification in bytes; nil for smallWork.
	memory func(c class) int64
}

// smallWork is the memory of schemes that are not memory-hard, in bytes. bcrypt has the largest
// state of them, 4 KiB.
const smallWork = 8 << 10

// A class is everything that the cost of a verification depends on. Decoys are chosen by class.
type class struct {
	scheme *scheme
	cost   uint32 // rounds, iterations or passes; the logarithm for bcrypt and scrypt
	memory uint32 // KiB for argon2id; the block size r for scrypt; else 0
	lanes  uint32 // p of argon2id and scrypt; else 0
	salt   uint16 // length in bytes
	digest uint16 // length in bytes, as compared
}

// stored is a parsed hash.
type stored struct {
	class class
	decoy bool
	weak  bool
	// previous is the hash of the account's previous password while that is accepted; nil for
	// none. Its own previous is nil.
	previous *stored
	// Two pointers away from Hash, because fmt follows one when a verb does not fit, as in
	// Printf("%s", *h).
	*material
}

// material is the secret part. bcrypt and the crypt schemes are compared in their encoded form,
// so their salt and digest are text.
type material struct {
	salt   []byte
	digest []byte
}

// newStored copies salt and digest into one allocation and sets their lengths in the class.
func newStored[B string | []byte](c class, salt, digest B) *stored {
	both := make([]byte, 0, len(salt)+len(digest))
	both = append(both, salt...)
	both = append(both, digest...)
	// Both are bounded far below 65,536 by the parsers.
	c.salt, c.digest = uint16(len(salt)), uint16(len(digest))
	one := &struct {
		stored
		material
	}{stored{class: c}, material{both[:len(salt):len(salt)], both[len(salt):]}}
	one.stored.material = &one.material
	return &one.stored
}

func (s *stored) equal(derived []byte) bool {
	return subtle.ConstantTimeCompare(derived, s.digest) == 1
}

// Hash is one stored password hash, parsed and bounded. [Policy.Parse] returns it.
//
// The zero Hash and a nil *Hash match no password and do no work; use the decoy of a [Mix] for a
// name that is not an account. A Hash never changes and is safe for concurrent use. It prints as
// "[redacted bcrypt]" for every verb, in JSON and in slog. It takes about 160 bytes, salt and
// digest included.
type Hash struct {
	// A pointer, so that printing a struct that holds a Hash by value shows neither salt nor
	// digest.
	s *stored
}

// Verdict is the result of one [Hash.Verify]. The zero Verdict denies.
type Verdict struct {
	// Match: the password is right.
	Match bool
	// Previous: the password is the account's previous one; see [Hash.WithPrevious]. Match is
	// then false, so a caller that checks Match only denies it.
	Previous bool
	// TooLong: the scheme cannot hash the whole password. Match and Previous are then false.
	TooLong bool
}

// WithPrevious returns a Hash that also matches the previous password of the account, while both
// are accepted. h and previous do not change, and the previous password of previous is dropped.
// It returns h if h or previous is nil or zero.
//
// Such a Hash always does the work of both hashes, for every password. A [Mix] counts it as a
// class of its own, so the same share of unknown names costs two hashes.
func (h *Hash) WithPrevious(previous *Hash) *Hash {
	if h == nil || h.s == nil || previous == nil || previous.s == nil {
		return h
	}
	both, last := *h.s, *previous.s
	last.previous = nil
	both.previous = &last
	return &Hash{&both}
}

// Verify reports whether password is the one that the hash was made from.
//
// It always does the whole work: for a wrong password, for a decoy, and for a password that is
// too long, of which it hashes the beginning and denies. The comparison takes constant time. The
// password is neither kept nor changed.
func (h *Hash) Verify(password []byte) Verdict {
	if h == nil || h.s == nil {
		return Verdict{}
	}
	var v Verdict
	v.Match, v.TooLong = h.s.verify(password)
	if h.s.previous != nil {
		match, _ := h.s.previous.verify(password)
		v.Previous = match && !v.Match
		v.TooLong = v.TooLong && !v.Previous
	}
	return v
}

func (s *stored) verify(password []byte) (match, tooLong bool) {
	limit := s.class.scheme.maxPassword
	tooLong = len(password) > limit
	if tooLong {
		password = password[:limit]
	}
	match = s.class.scheme.match(s, password)
	return match && !tooLong && !s.decoy, tooLong
}

// Scheme returns the name of the scheme, such as "bcrypt", or "" for the zero Hash. It is the
// value of the attribute auth.password.scheme. The set is closed, so it may be a metric
// attribute. For a Hash with a previous password it is the scheme of the current one.
func (h *Hash) Scheme() string {
	if h == nil || h.s == nil {
		return ""
	}
	return h.s.class.scheme.name
}

// MemoryBytes returns the memory that one Verify takes: the parameter of argon2id and scrypt, 8
// KiB for other schemes, 0 for the zero Hash. For a Hash with a previous password it is the
// larger of the two.
func (h *Hash) MemoryBytes() int64 {
	if h == nil || h.s == nil {
		return 0
	}
	n := h.s.class.memoryBytes()
	if h.s.previous != nil {
		n = max(n, h.s.previous.class.memoryBytes())
	}
	return n
}

func (c class) memoryBytes() int64 {
	if c.scheme.memory == nil {
		return smallWork
	}
	return c.scheme.memory(c)
}

// RehashNeeded reports whether the hash is weaker than its policy requires today. It is the event
// attribute auth.password.rehash_needed.
//
// With the zero [Policy.Today], a hash is weak if it is below the minimum of the OWASP Password
// Storage Cheat Sheet for its scheme, or if the sheet does not recommend the scheme (SHA-crypt
// and the legacy schemes). A decoy is never weak.
func (h *Hash) RehashNeeded() bool { return h != nil && h.s != nil && h.s.weak }

// Equal reports whether h and o are the same stored hash: scheme, parameters, salt, digest and
// previous password. Spellings that verify alike, such as $2a$ and $2y$, are the same. Digests
// are compared in constant time. Two nil or zero Hashes are equal.
func (h *Hash) Equal(o *Hash) bool {
	hNone, oNone := h == nil || h.s == nil, o == nil || o.s == nil
	if hNone || oNone {
		return hNone && oNone
	}
	hPrevious, oPrevious := h.s.previous, o.s.previous
	if (hPrevious == nil) != (oPrevious == nil) {
		return false
	}
	return h.s.same(o.s) && (hPrevious == nil || hPrevious.same(oPrevious))
}

func (s *stored) same(o *stored) bool {
	return s.class == o.class && s.decoy == o.decoy && bytes.Equal(s.salt, o.salt) && s.equal(o.digest)
}
