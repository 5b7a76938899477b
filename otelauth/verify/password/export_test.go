// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import "slices"

// NewMixFrom is [NewMix] with another source of randomness.
var NewMixFrom = newMix

// HasPrevious reports whether h has the hash of a previous password.
func (h *Hash) HasPrevious() bool { return h != nil && h.s != nil && h.s.previous != nil }

// Schemes returns the name of every scheme that [Policy.Parse] accepts under some policy.
func Schemes() (names []string) {
	for _, f := range formats() {
		if !slices.Contains(names, f.scheme.name) {
			names = append(names, f.scheme.name)
		}
	}
	return names
}

// SameClass reports whether h and o have the same class, and so the same cost.
func SameClass(h, o *Hash) bool { return h.s.class == o.s.class }

// Counted returns a constructor of Hashes of a new scheme that calls ran at each run and does no
// other work. Decoys of a Mix of such Hashes call it too.
func Counted(name string, ran func()) func(cost uint32) *Hash {
	s := &scheme{name: name, maxPassword: MaxPasswordBytes, match: func(*stored, []byte) bool { ran(); return false }}
	return func(cost uint32) *Hash { return &Hash{newStored(class{scheme: s, cost: cost}, "salt", "digest")} }
}
