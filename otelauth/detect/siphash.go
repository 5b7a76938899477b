// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"encoding/binary"
	"math/bits"
)

// sip is a key of SipHash-2-4 (Aumasson and Bernstein, 2012). An attacker who can predict the
// bucket of a name could evict the evidence against it, so the hash needs a key. hash/maphash
// takes no key from its caller, without which a simulation cannot be replayed.
type sip struct{ k0, k1 uint64 }

func newSip(key [16]byte) sip {
	return sip{binary.LittleEndian.Uint64(key[:]), binary.LittleEndian.Uint64(key[8:])}
}

func (k sip) text(s string) uint64 {
	v := k.begin()
	n := len(s)
	for ; len(s) >= 8; s = s[8:] {
		v.word(uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56)
	}
	last := uint64(n) << 56
	for i := range len(s) {
		last |= uint64(s[i]) << (8 * i)
	}
	return v.end(last)
}

func (k sip) pair(a, b uint64) uint64 {
	v := k.begin()
	v.word(a)
	v.word(b)
	return v.end(16 << 56)
}

type sipState struct{ a, b, c, d uint64 }

func (k sip) begin() sipState {
	return sipState{
		k.k0 ^ 0x736f6d6570736575, k.k1 ^ 0x646f72616e646f6d,
		k.k0 ^ 0x6c7967656e657261, k.k1 ^ 0x7465646279746573,
	}
}

func (v *sipState) word(m uint64) {
	v.d ^= m
	v.round()
	v.round()
	v.a ^= m
}

func (v *sipState) end(m uint64) uint64 {
	v.word(m)
	v.c ^= 0xff
	v.round()
	v.round()
	v.round()
	v.round()
	return v.a ^ v.b ^ v.c ^ v.d
}

func (v *sipState) round() {
	v.a += v.b
	v.b = bits.RotateLeft64(v.b, 13) ^ v.a
	v.a = bits.RotateLeft64(v.a, 32)
	v.c += v.d
	v.d = bits.RotateLeft64(v.d, 16) ^ v.c
	v.a += v.d
	v.d = bits.RotateLeft64(v.d, 21) ^ v.a
	v.c += v.b
	v.b = bits.RotateLeft64(v.b, 17) ^ v.c
	v.c = bits.RotateLeft64(v.c, 32)
}
