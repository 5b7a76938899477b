// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

// SameClass reports whether h and o cost the same by construction.
func SameClass(h, o *Hash) bool { return h.s.class == o.s.class }

// Counted returns a maker of Hashes of a scheme of its own, which calls ran at each run instead of doing any work. The decoys of
// a Mix of such Hashes call it too.
func Counted(name string, ran func()) func(cost uint32) *Hash {
	s := &scheme{name: name, maxPassword: MaxPasswordBytes, match: func(*stored, []byte) bool { ran(); return false }}
	return func(cost uint32) *Hash { return &Hash{newStored(class{scheme: s, cost: cost}, "salt", "digest")} }
}
