// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"

	"github.com/dchest/siphash"
)

// mac recognises a credential: SipHash-2-4 with 128 bits of key and of output (Aumasson and Bernstein, 2012), over the
// token68 itself. A strictly decoded token is a bijection with (name, password), so no two credentials share one and no
// delimiter can be confused (CVE-2022-46146, GHSA-6765-c87h-8mrf). SipHash is a MAC made for inputs this short:
// a quarter of the time of SHA-256, which is the largest part of a recognition otherwise. Neither key nor MAC leaves the
// process, and a guess at a MAC costs a request.
type mac [siphash.Size128]byte

func (e *Engine) mac(token string) mac {
	var stack [128]byte // spares all tokens but the longest an allocation
	return e.sum(append(stack[:0], token...))
}

// from is the MAC of a credential from one network. What is remembered or hashed for a caller with
// a wrong password goes by it, so that no answer depends on what another network has sent.
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

func (e *Engine) sum(octets []byte) (m mac) {
	lo, hi := siphash.Hash128(e.key[0], e.key[1], octets)
	binary.LittleEndian.PutUint64(m[:8], lo)
	binary.LittleEndian.PutUint64(m[8:], hi)
	return m
}

// fingerprint is attempt.Result.PasswordFingerprint, never 0. It costs one short hash on the way to a long one.
func (e *Engine) fingerprint(password []byte) uint64 {
	h := sha256.New()
	h.Write(e.passwords[:])
	h.Write(password)
	var sum [sha256.Size]byte
	return binary.LittleEndian.Uint64(h.Sum(sum[:0])) | 1
}
