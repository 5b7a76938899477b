// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

import (
	"crypto/sha256"
	"hash/maphash"
	"io"
	"net/netip"

	"github.com/otelauth/otelauth-go/otelauth/clientip"
	"github.com/otelauth/otelauth-go/otelauth/throttle/internal/budget"
)

// keys derives the keys of budgets: SHA-256 over a secret, the kind of budget and its subject, cut
// to half. The secret comes first and half of the hash stays secret, which rules out length
// extension. Names of any length and with any bytes are safe: at most one part of each input has a
// variable length, and it is the last.
type keys struct {
	secret [16]byte
	local  maphash.Seed
}

// Kinds of keys beside those of package budget. The key of kind budget.Pair only records which
// pairs are known and holds no debt.
const (
	pairGuesses    budget.Kind = 16 + iota // the budget of a pair, known or not
	pairReserve                            // the reserve of a pair
	networkReserve                         // the reserve of a network, all names together
	networkKnown                           // whether any account has succeeded from the network
)

func newKeys(secret []byte) keys {
	k := keys{local: maphash.MakeSeed()}
	sum := sha256.Sum256(append([]byte("otelauth throttle keys\x00"), secret...))
	copy(k.secret[:], sum[:])
	return k
}

// account returns the key of an account's budget. A name that fits the buffer, as all legitimate
// ones do, costs no allocation.
func (k *keys) account(canonical string) (out budget.Key) {
	var buf [256]byte
	n := copy(buf[:], k.secret[:])
	buf[n] = byte(budget.Account)
	n++
	if len(canonical) <= len(buf)-n {
		n += copy(buf[n:], canonical)
		sum := sha256.Sum256(buf[:n])
		return budget.Key(sum[:len(out)])
	}
	h := sha256.New()
	h.Write(buf[:n])
	io.WriteString(h, canonical)
	return budget.Key(h.Sum(nil)[:len(out)])
}

// network returns the key of a budget of a network, or of a pair if account is set.
func (k *keys) network(b budget.Kind, account budget.Key, p netip.Prefix) (out budget.Key) {
	var buf [16 + 1 + 16 + 1 + 16]byte // one block of SHA-256 with its padding
	n := copy(buf[:], k.secret[:])
	buf[n] = byte(b)
	n++
	n += copy(buf[n:], account[:])
	buf[n] = byte(p.Bits()) // 255 for the zero Prefix
	n++
	if p.IsValid() {
		addr := p.Addr().Unmap().As16()
		n += copy(buf[n:], addr[:])
	}
	sum := sha256.Sum256(buf[:n])
	return budget.Key(sum[:len(out)])
}

// siteOf returns the site that contains a network.
func siteOf(p netip.Prefix) netip.Prefix { return clientip.Site(p.Addr()) }

// quick returns a hash of a pair for tables of this process, where even one SHA-256 costs too
// much.
func (k *keys) quick(g *Guess) uint64 {
	var buf [17]byte
	if g.Network.IsValid() {
		addr := g.Network.Addr().As16()
		copy(buf[:], addr[:])
	}
	buf[16] = byte(g.Network.Bits())
	return maphash.String(k.local, g.Account)*0x9e3779b97f4a7c15 ^ maphash.Bytes(k.local, buf[:])
}
