// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"hash/fnv"
	"io"
	"iter"
	"math"
	"slices"
	"strings"
)

// maxMixClasses bounds the work of one [Mix.Decoy] to about a microsecond. Stores have a handful
// of classes.
const maxMixClasses = 64

// Mix is the distribution of schemes and costs in a store of accounts. [Mix.Decoy] takes from it
// the hash that an unknown name is verified against. A decoy of fixed cost would reveal which
// names are unknown, and would let an attacker choose the more expensive kind (CVE-2026-41263).
//
// A class is everything that the cost of a verification depends on: scheme, parameters, the
// lengths of salt and digest, and the same of the previous password of an account that has one
// ([Hash.WithPrevious]). A Mix holds the 64 most frequent classes, about 400 bytes each. The zero
// Mix and an empty one use the default [Params]. A Mix never changes and is safe for concurrent
// use.
type Mix struct {
	entries []mixEntry
}

type mixEntry struct {
	work   work
	decoy  *Hash
	id     uint64 // of the class; the same in every process
	weight int
}

// NewMix counts hashes in one pass and keeps only their classes, so that a store needs no slice of
// all hashes. It skips nil elements and decoys. The salts and digests of the decoys are random.
func NewMix(hashes iter.Seq[*Hash]) *Mix { return newMix(hashes, rand.Reader) }

// newMix is [NewMix] with another source of randomness, for tests.
func newMix(hashes iter.Seq[*Hash], random io.Reader) *Mix {
	weights := make(map[work]int)
	for h := range hashes {
		if h != nil && h.s != nil && !h.s.decoy {
			w := work{current: h.s.class}
			if h.s.previous != nil {
				w.previous = h.s.previous.class
			}
			weights[w]++
		}
	}
	m := &Mix{entries: make([]mixEntry, 0, len(weights))}
	for w, n := range weights {
		m.entries = append(m.entries, mixEntry{id: w.id(), weight: n, work: w})
	}
	slices.SortFunc(m.entries, func(a, b mixEntry) int {
		return cmp.Or(cmp.Compare(b.weight, a.weight), cmp.Compare(a.id, b.id))
	})
	m.entries = slices.Clip(m.entries[:min(len(m.entries), maxMixClasses)])
	for i := range m.entries {
		m.entries[i].decoy = m.entries[i].work.decoy(random)
	}
	return m
}

// work is what one verification of an account computes. The scheme of previous is nil if there is
// one password.
type work struct{ current, previous class }

func (w work) decoy(random io.Reader) *Hash {
	d := newDecoy(w.current, random)
	if w.previous.scheme == nil {
		return d
	}
	return d.WithPrevious(newDecoy(w.previous, random))
}

func (w work) id() uint64 {
	if w.previous.scheme == nil {
		return w.current.id()
	}
	return mix64(w.current.id()) ^ w.previous.id()
}

// Decoy returns a hash that no password matches. Its Verify costs the same as a real hash of its
// class.
//
// key selects the class in the proportions of the store. The same key selects the same class in
// every process and for every order of the accounts. key must come from a keyed hash of the name,
// or a client could compute the class. When accounts are added or removed, only as many keys
// change their class as the proportions change (weighted rendezvous hashing, Schindelhauer and
// Schomaker 2005). Otherwise a name whose cost changes without a new password would be known as
// unknown.
func (m *Mix) Decoy(key uint64) *Hash {
	if m == nil || len(m.entries) == 0 {
		return defaultDecoy()
	}
	best, decoy := math.Inf(1), (*Hash)(nil)
	for i := range m.entries {
		e := &m.entries[i]
		// An exponential variate of rate weight: the smallest is entry i with probability weight
		// / sum of weights.
		u := (float64(mix64(key^mix64(e.id))>>11) + 0.5) / (1 << 53)
		if score := -math.Log(u) / float64(e.weight); decoy == nil || score < best {
			best, decoy = score, e.decoy
		}
	}
	return decoy
}

func defaultDecoy() *Hash {
	return newDecoy(class{
		scheme: argon2idScheme,
		memory: defaultMemoryKiB, cost: defaultPasses, lanes: defaultLanes,
		salt: newSaltBytes, digest: newDigestBytes,
	}, nil)
}

// newDecoy returns a hash of the class with a random salt and digest. Verify denies it by its
// mark, after the work.
func newDecoy(c class, random io.Reader) *Hash {
	if random == nil {
		random = rand.Reader
	}
	salt, digest := make([]byte, c.salt), make([]byte, c.digest)
	// A random source that fails leaves zeros, which are as good: the mark denies, not the
	// digest.
	_, _ = io.ReadFull(random, salt)
	_, _ = io.ReadFull(random, digest)
	if c.scheme.text {
		for _, b := range [...][]byte{salt, digest} {
			for i := range b {
				b[i] = crypt64[b[i]%64]
			}
		}
	}
	s := newStored(c, salt, digest)
	s.decoy = true
	return &Hash{s}
}

// id returns a hash of the class that is the same in every process.
func (c class) id() uint64 {
	h := fnv.New64a()
	_, _ = io.Copy(h, strings.NewReader(c.scheme.name))
	var b [17]byte
	binary.LittleEndian.PutUint32(b[0:], c.cost)
	binary.LittleEndian.PutUint32(b[4:], c.memory)
	binary.LittleEndian.PutUint32(b[8:], c.lanes)
	binary.LittleEndian.PutUint16(b[12:], c.salt)
	binary.LittleEndian.PutUint16(b[14:], c.digest)
	if c.scheme == bcryptSHA256 { // whose name is bcrypt's
		b[16] = 1
	}
	_, _ = h.Write(b[:])
	return h.Sum64()
}

// mix64 is the finalizer of SplitMix64 (Steele, Lea and Flood 2014): every bit of x affects every
// bit of the result.
func mix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
