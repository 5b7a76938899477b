// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"math/rand/v2"
	"testing"
)

func TestMACIsSipHash(t *testing.T) {
	t.Parallel()
	e := &Engine{key: [2]uint64{0x0706050403020100, 0x0f0e0d0c0b0a0908}}
	// The first of vectors_sip128 in the authors' reference implementation: key 00 01 … 0f,
	// input 00 01 ….
	for input, want := range map[string]string{
		"":         "a3817f04ba25a8e66df67214c7550293",
		"\x00":     "da87c1d86b99af44347659119b22fc45",
		"\x00\x01": "8177228da4a45dc7fca38bdef60affe4",
	} {
		if m := e.mac(input); hex.EncodeToString(m[:]) != want {
			t.Errorf("mac(%q) = %x, want %s", input, m, want)
		}
	}
	// Every length around that of the stack buffer, compared with the algorithm of the paper.
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		input := make([]byte, n)
		for i := range input {
			input[i] = byte(r.Uint32())
		}
		e := &Engine{key: [2]uint64{r.Uint64(), r.Uint64()}}
		if got, want := e.mac(string(input)), siphash128(e.key, input); got != want {
			t.Errorf("%d bytes: %x, want %x", n, got, want)
		}
	}
}

func siphash128(key [2]uint64, p []byte) (m mac) {
	v := [4]uint64{
		key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d ^ 0xee,
		key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573,
	}
	rounds := func(n int) {
		for range n {
			v[0] += v[1]
			v[2] += v[3]
			v[1] = bits.RotateLeft64(v[1], 13) ^ v[0]
			v[3] = bits.RotateLeft64(v[3], 16) ^ v[2]
			v[0] = bits.RotateLeft64(v[0], 32)
			v[2] += v[1]
			v[0] += v[3]
			v[1] = bits.RotateLeft64(v[1], 17) ^ v[2]
			v[3] = bits.RotateLeft64(v[3], 21) ^ v[0]
			v[2] = bits.RotateLeft64(v[2], 32)
		}
	}
	last := uint64(len(p)) << 56
	for ; len(p) >= 8; p = p[8:] {
		w := binary.LittleEndian.Uint64(p)
		v[3] ^= w
		rounds(2)
		v[0] ^= w
	}
	for i, b := range p {
		last |= uint64(b) << (8 * i)
	}
	v[3] ^= last
	rounds(2)
	v[0] ^= last
	v[2] ^= 0xee
	rounds(4)
	binary.LittleEndian.PutUint64(m[:8], v[0]^v[1]^v[2]^v[3])
	v[1] ^= 0xdd
	rounds(4)
	binary.LittleEndian.PutUint64(m[8:], v[0]^v[1]^v[2]^v[3])
	return m
}

// TestEachEngineHasItsOwnKey: two Engines have different MACs of one credential.
func TestEachEngineHasItsOwnKey(t *testing.T) {
	t.Parallel()
	stores := &Static{Hashes: map[string]string{"alice": "$2y$05$FKIqQFR3cTsNRqGhXzGzC.H6yJrFbDQGiUQu7WvM8iGgLDzjZUzKy"}}
	a, errA := New(Config{Accounts: stores})
	b, errB := New(Config{Accounts: stores})
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if a.mac("dG9rZW4=") == b.mac("dG9rZW4=") {
		t.Error("two engines share a key")
	}
}
