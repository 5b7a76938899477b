// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"encoding/binary"

	"github.com/dchest/siphash"
)

// sip is a key of SipHash-2-4 (Aumasson and Bernstein, 2012). An attacker who can predict the
// bucket of a name could evict the evidence against it, so the hash needs a key. hash/maphash
// takes no key from its caller, without which a simulation cannot be replayed.
type sip struct{ k0, k1 uint64 }

func newSip(key [16]byte) sip {
	return sip{binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])}
}

func (k sip) text(s string) uint64 {
	var stack [128]byte // avoids an allocation for all but the longest names
	return siphash.Hash(k.k0, k.k1, append(stack[:0], s...))
}

func (k sip) pair(a, b uint64) uint64 {
	var buf [16]byte
	binary.LittleEndian.PutUint64(buf[:], a)
	binary.LittleEndian.PutUint64(buf[8:], b)
	return siphash.Hash(k.k0, k.k1, buf[:])
}
