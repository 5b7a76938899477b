// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"

	"github.com/dchest/siphash"
)

// mac recognises a credential. It is SipHash-2-4 of the token68 with 128 bits of key and output
// (Aumasson and Bernstein, 2012). A strictly decoded token is a bijection with (name, password),
// so two credentials never share a token, and no delimiter can be confused (CVE-2022-46146,
// GHSA-6765-c87h-8mrf). SipHash is made for short inputs and takes a quarter of the time of
// SHA-256, which would be the largest part of a recognition. Neither key nor MAC leaves the
// process, and each guess at a MAC costs a request.
type mac [siphash.Size128]byte

// mac returns the MAC of a token.
func (e *Engine) mac(token string) mac {
	var stack [128]byte // avoids an allocation for all but the longest tokens
	return e.sum(append(stack[:0], token...))
}

// from returns the MAC of a credential and a network. What the Engine remembers or hashes for a
// wrong password is keyed by it, so that no answer depends on what another network has sent.
func (e *Engine) from(m *mac, network netip.Prefix) mac {
	var buf [len(mac{}) + 16 + 1]byte
	n := copy(buf[:], m[:])
	if network.IsValid() {
		addr := network.Addr().As16()
		copy(buf[n:], addr[:])
	}
	buf[len(buf)-1] = byte(network.Bits()) // 255 for the zero Prefix
	return e.sum(buf[:])
}

func (e *Engine) sum(data []byte) (m mac) {
	lo, hi := siphash.Hash128(e.key[0], e.key[1], data)
	binary.LittleEndian.PutUint64(m[:8], lo)
	binary.LittleEndian.PutUint64(m[8:], hi)
	return m
}

// fingerprint returns attempt.Result.PasswordFingerprint, which is never 0. It costs one short
// hash, before the long one.
func (e *Engine) fingerprint(password []byte) uint64 {
	h := sha256.New()
	h.Write(e.fingerprintKey[:])
	h.Write(password)
	var sum [sha256.Size]byte
	return binary.LittleEndian.Uint64(h.Sum(sum[:0])) | 1
}
