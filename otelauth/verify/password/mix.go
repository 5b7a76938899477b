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

// maxMixClasses bounds the work of one [Mix.Decoy] to about a microsecond. Stores have a handful of classes.
const maxMixClasses = 64

// Mix is the distribution of schemes and costs in a store of accounts, out of which a name that is no account gets a
// hash to be verified against. A dummy of fixed cost tells unknown names from known ones and lets an attacker choose the
// dearer of the two (CVE-2026-41263 and the measurements with it).
//
// A class is everything that the cost of a verification depends on: scheme, parameters, and the lengths of salt and digest, and
// the same of the previous password of an account that has one ([Hash.WithPrevious]). The
// zero Mix and an empty one answer with the default [Params]. A Mix never changes and is safe for concurrent use. It holds
// the 64 most frequent classes, about 400 bytes each.
type Mix struct {
	entries []mixEntry
}

type mixEntry struct {
	work   work
	decoy  *Hash
	id     uint64 // of the class: the same in every process
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

// work is what one verification of an account costs. The scheme of previous is nil where there is one password.
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

// Decoy returns a hash that no password matches and whose Verify costs what it costs for the real hashes of its class.
//
// The class is chosen by key in the proportions of the store: the same key gets the same class in every process and whatever the order of
// the accounts. key must come from a keyed hash of the name, or a client could compute the class. When accounts come and go, a
// key changes its class only as far as the proportions have changed (weighted rendezvous hashing, Schindelhauer and Schomaker 2005): a name
// whose cost changes though nobody set its password would be known as no account.
func (m *Mix) Decoy(key uint64) *Hash {
	if m == nil || len(m.entries) == 0 {
		return defaultDecoy()
	}
	best, decoy := math.Inf(1), (*Hash)(nil)
	for i := range m.entries {
		e := &m.entries[i]
		// An exponential variate of rate weight: the smallest is entry i with probability weight / sum of weights.
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

// newDecoy makes a hash of the class with a random salt and digest. Verify denies it by its mark, after the work.
func newDecoy(c class, random io.Reader) *Hash {
	if random == nil {
		random = rand.Reader
	}
	salt, digest := make([]byte, c.salt), make([]byte, c.digest)
	// A random source that fails leaves zeros. They are as good: the mark denies, not the digest.
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

// id is a hash of the class that does not change from process to process.
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

// mix64 is the finalizer of SplitMix64 (Steele, Lea and Flood 2014): every bit of x reaches every bit of the result.
func mix64(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
