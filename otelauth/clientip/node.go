// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip

import (
	"net/netip"
	"strings"
)

// nodeKind is what parseNode found.
type nodeKind uint8

const (
	unreadable  nodeKind = iota // no address
	withoutPort                 // an address alone, or with an obfuscated port
	withPort
)

// parseNode reads an address with or without a port: 192.0.2.1, 192.0.2.1:80, [2001:db8::1], [2001:db8::1]:80,
// and where bare is set 2001:db8::1, which X-Forwarded-For has and RFC 7239, section 6 has not: what follows its
// last colon could be a port. The port may be obfuscated ("_abc") and is then 0.
//
// Zones are dropped, since they name an interface of somebody else's host, and IPv4-mapped IPv6 addresses become IPv4, so
// that one client has one address. IPv4 is read by hand: this runs on every request, and netip
// takes three times as long. Octets with leading zeros are refused as in netip.
func parseNode(s string, bare bool) (addr netip.Addr, port uint16, kind nodeKind) {
	if octets, rest, ok := cutIPv4(s); ok {
		port, kind = parsePort(rest)
		return netip.AddrFrom4(octets), port, kind
	}
	// netip allocates an error for what it cannot read: "unknown", "_id", the "@" of a unix socket.
	host, rest := s, ""
	switch {
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return netip.Addr{}, 0, unreadable
		}
		host, rest = s[1:end], s[end+1:]
	case !bare:
		return netip.Addr{}, 0, unreadable
	}
	if zone := strings.IndexByte(host, '%'); zone >= 0 {
		host = host[:zone]
	}
	if strings.IndexByte(host, ':') < 0 {
		return netip.Addr{}, 0, unreadable
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}, 0, unreadable
	}
	port, kind = parsePort(rest)
	return addr.Unmap(), port, kind
}

// cutIPv4 reads four decimal octets at the start of s.
func cutIPv4(s string) (octets [4]byte, rest string, ok bool) {
	i := 0
	for k := range octets {
		if k > 0 {
			if i >= len(s) || s[i] != '.' {
				return octets, "", false
			}
			i++
		}
		first, value := i, 0
		for i < len(s) && i < first+3 && '0' <= s[i] && s[i] <= '9' {
			value = value*10 + int(s[i]-'0')
			i++
		}
		if i == first || value > 255 || s[first] == '0' && i > first+1 {
			return octets, "", false
		}
		octets[k] = byte(value)
	}
	return octets, s[i:], true
}

// parsePort reads what follows an address: nothing, or a colon and a port.
func parsePort(s string) (uint16, nodeKind) {
	if s == "" {
		return 0, withoutPort
	}
	if s[0] != ':' || len(s) == 1 {
		return 0, unreadable
	}
	s = s[1:]
	if s[0] == '_' {
		return 0, withoutPort
	}
	if len(s) > 5 {
		return 0, unreadable
	}
	port := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, unreadable
		}
		port = port*10 + int(s[i]-'0')
	}
	if port > 0xffff {
		return 0, unreadable
	}
	return uint16(port), withPort
}
