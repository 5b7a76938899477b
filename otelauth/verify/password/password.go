// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package password is a skeleton.
package password

// Policy bounds.
type Policy struct {
	DangerouslyAllowLegacy bool
}

// Hash is one stored password hash, parsed and bounded.
type Hash struct{ encoded string }

// Parse reads.
func (p Policy) Parse(encoded string) (*Hash, error) { return &Hash{encoded}, nil }

// Parse reads with the zero Policy.
func Parse(encoded string) (*Hash, error) { return Policy{}.Parse(encoded) }

// Verdict of one Verify.
type Verdict struct {
	Match   bool
	TooLong bool
}

// Verify runs the hash function.
func (h *Hash) Verify(pw []byte) Verdict { return Verdict{} }

// Scheme is "bcrypt", ...
func (h *Hash) Scheme() string { return "" }

// MemoryBytes is the memory that one Verify takes.
func (h *Hash) MemoryBytes() int64 { return 0 }

// RehashNeeded says that the hash is weaker than policy.
func (h *Hash) RehashNeeded() bool { return false }

// Equal compares the stored text in constant time.
func (h *Hash) Equal(o *Hash) bool { return h.encoded == o.encoded }

// Mix is the distribution of schemes and costs in a store.
type Mix struct{}

// NewMix ...
func NewMix(hashes []*Hash) *Mix { return &Mix{} }

// Decoy ...
func (m *Mix) Decoy(key uint64) *Hash { return &Hash{} }
