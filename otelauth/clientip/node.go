// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip

import (
	"net/netip"
	"strings"
)

// nodeKind is the result of parseNode.
type nodeKind uint8

const (
	unreadable  nodeKind = iota // not an address
	withoutPort                 // an address alone, or with an obfuscated port
	withPort
)

// parseNode parses an address with or without a port: 192.0.2.1, 192.0.2.1:80, [2001:db8::1] and
// [2001:db8::1]:80. With allowBare it accepts 2001:db8::1 too, which X-Forwarded-For has and RFC
// 7239, section 6 forbids, because its end may be a port. An obfuscated port ("_abc") is 0.
//
// Zones are dropped, because they name an interface of another host. IPv4-mapped IPv6 addresses
// become IPv4, so that one client has one address. IPv4 has a parser of its own: this runs for
// every request, and netip takes three times as long. As in netip, leading zeros are refused.
func parseNode(s string, allowBare bool) (addr netip.Addr, port uint16, kind nodeKind) {
	if ip, rest, ok := cutIPv4(s); ok {
		port, kind = parsePort(rest)
		return netip.AddrFrom4(ip), port, kind
	}
	// netip allocates an error for "unknown", "_id" and the "@" of a unix socket: refuse them
	// first.
	host, rest := s, ""
	switch {
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return netip.Addr{}, 0, unreadable
		}
		host, rest = s[1:end], s[end+1:]
	case !allowBare:
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

// cutIPv4 parses an IPv4 address at the start of s.
func cutIPv4(s string) (ip [4]byte, rest string, ok bool) {
	i := 0
	for k := range ip {
		if k > 0 {
			if i >= len(s) || s[i] != '.' {
				return ip, "", false
			}
			i++
		}
		first, value := i, 0
		for i < len(s) && i < first+3 && '0' <= s[i] && s[i] <= '9' {
			value = value*10 + int(s[i]-'0')
			i++
		}
		if i == first || value > 255 || s[first] == '0' && i > first+1 {
			return ip, "", false
		}
		ip[k] = byte(value)
	}
	return ip, s[i:], true
}

// parsePort parses the text after an address: nothing, or a colon and a port.
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
