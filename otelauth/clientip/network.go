// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip

import "net/netip"

// Network returns the network of one client, for counting clients: /32 of an IPv4 address and /64
// of an IPv6 address, in which a host can change its address (RFC 4291, section 2.5.4; RFC 8981).
// IPv4-mapped IPv6 addresses are IPv4, and a zone is dropped. The zero Addr has the zero Prefix.
func Network(addr netip.Addr) netip.Prefix { return prefix(addr, 32, 64) }

// Site returns the network that one subscriber or site commonly has, for counting clients that
// change their [Network]: /24 of an IPv4 address, the longest prefix in the global routing table,
// and /48 of an IPv6 address (RFC 6177). It contains Network and otherwise behaves like it.
func Site(addr netip.Addr) netip.Prefix { return prefix(addr, 24, 48) }

func prefix(addr netip.Addr, bits4, bits6 int) netip.Prefix {
	addr = addr.Unmap()
	bits := bits6
	if addr.Is4() {
		bits = bits4
	}
	p, _ := addr.Prefix(bits) // fails for the zero Addr only
	return p
}
