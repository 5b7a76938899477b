// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/clientip"
)

const fuzzPeer = "10.0.0.9:40000"

// FuzzPeer compares the parser of RemoteAddr with net/netip.
func FuzzPeer(f *testing.F) {
	for _, s := range []string{"192.0.2.1:80", "[2001:db8::1]:80", "[::ffff:192.0.2.1]:80", "[fe80::1%eth0]:80", "1.2.3.4:080", "@", "", "1.2.3:4"} {
		f.Add(s)
	}
	var r clientip.Resolver
	f.Fuzz(func(t *testing.T, remote string) {
		got := r.Resolve(request(remote)).Peer
		if strings.Contains(remote, "%") || len(remote) > 5 && !strings.Contains(remote[len(remote)-6:], ":") {
			// zones, which Resolve drops first, and ports such as 000080, which netip accepts
			return
		}
		want, err := netip.ParseAddrPort(remote)
		if err != nil || strings.HasPrefix(remote, "[") && want.Addr().Is4() {
			want = netip.AddrPort{}
		}
		if want = netip.AddrPortFrom(want.Addr().Unmap(), want.Port()); got != want {
			t.Fatalf("%q: %v, netip returns %v, %v", remote, got, want, err)
		}
	})
}

// FuzzXForwardedFor compares with a simple parser: join, split, iterate backwards, net/netip.
func FuzzXForwardedFor(f *testing.F) {
	f.Add("203.0.113.7", "10.0.0.2")
	f.Add("198.51.100.1, 203.0.113.7:80,10.0.0.3", "[fd00::1]:443")
	f.Add("unknown", "_id, ,\t::ffff:10.0.0.1")
	f.Add("fe80::1%eth0", "010.0.0.1")
	f.Add("0.0.0.0%000::0", "[192.0.2.1%a:b]")
	f.Add("0", "[::]:000000")
	f.Add("0", "[::]0:0")
	r := resolver(f, trusting(clientip.XForwardedFor))
	f.Fuzz(func(t *testing.T, first, second string) {
		req := request(fuzzPeer)
		req.Header["X-Forwarded-For"] = []string{first, second}
		got := r.Resolve(req)

		want := netip.MustParseAddr("10.0.0.9")
		entries := strings.Split(first+","+second, ",")
		for i := len(entries) - 1; i >= max(0, len(entries)-maxHops); i-- {
			if len(entries[i]) > 128 {
				break
			}
			addr := plainAddr(strings.Trim(entries[i], " \t"))
			if !addr.IsValid() {
				break
			}
			want = addr
			if !trusted(addr) {
				break
			}
		}
		if got.Addr != want {
			t.Fatalf("%q, %q: %v, want %v", first, second, got.Addr, want)
		}
		unaffected(t, r, "X-Forwarded-For", first, "203.0.113.7:80, 10.0.0.3", "10.0.0.2")
	})
}

func FuzzForwarded(f *testing.F) {
	f.Add("for=203.0.113.7", "for=10.0.0.2;proto=https")
	f.Add(`for="[2001:db8::1]:4711";by=_x`, `FOR="\[fd00::1\]"; host="a, b\"\\"`)
	f.Add(`for="`, `for=unknown;;`)
	f.Add(`for="1.2.3.4\`, `x="\",`)
	r := resolver(f, trusting(clientip.Forwarded))
	f.Fuzz(func(t *testing.T, first, second string) {
		req := request(fuzzPeer)
		req.Header["Forwarded"] = []string{first, second}
		if got := r.Resolve(req).Addr; got != netip.MustParseAddr("10.0.0.9") && !literal(got, first+","+second) {
			t.Fatalf("%q, %q: %v is not in the header", first, second, got)
		}
		unaffected(t, r, "Forwarded", first, `for="203.0.113.7:80";host="a, for=198.51.100.1\", \\", for=10.0.0.3`, `for="10.0.0.2";proto=https`)
	})
}

// unaffected checks the main property: no text of a client, before the entries of the proxies, on
// one line or several, changes the result.
func unaffected(t *testing.T, r *clientip.Resolver, field, spoof, byProxies, byPeer string) {
	t.Helper()
	want := netip.MustParseAddrPort("203.0.113.7:80")
	for _, lines := range [][]string{
		{spoof, byProxies, byPeer},
		{spoof, byProxies + ", " + byPeer},
		{spoof + ", " + byProxies, byPeer},
		{spoof + "," + byProxies + "," + byPeer},
	} {
		req := request(fuzzPeer)
		req.Header = http.Header{field: lines}
		c := r.Resolve(req)
		if netip.AddrPortFrom(c.Addr, c.Port) != want || c.Secure != (field == "Forwarded") {
			t.Fatalf("%q: %+v, want %v", lines, c, want)
		}
	}
}

func trusted(addr netip.Addr) bool {
	for _, p := range trusting(0).TrustedProxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// plainAddr parses one entry of X-Forwarded-For with net/netip.
func plainAddr(s string) netip.Addr {
	host, port, bracketed := s, "", strings.HasPrefix(s, "[")
	switch {
	case bracketed:
		end := strings.LastIndex(s, "]")
		if end < 0 {
			return netip.Addr{}
		}
		host, port = s[1:end], s[end+1:]
	case strings.Count(s, ":") == 1:
		host, port, _ = strings.Cut(s, ":")
		port = ":" + port
	}
	if port != "" && !strings.HasPrefix(port, ":_") {
		if port[0] != ':' { // it would be parsed as a part of the address below
			return netip.Addr{}
		}
		// RFC 7239, section 6.3: at most five digits; netip accepts any number of zeros
		if len(port) > len(":65535") {
			return netip.Addr{}
		}
		if _, err := netip.ParseAddrPort("192.0.2.1" + port); err != nil {
			return netip.Addr{}
		}
	}
	if address, _, zoned := strings.Cut(host, "%"); zoned && strings.Contains(address, ":") {
		host = address
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || bracketed && addr.Is4() {
		return netip.Addr{}
	}
	return addr.Unmap()
}

// literal reports whether s contains addr, without quoted-pairs.
func literal(addr netip.Addr, s string) bool {
	s = strings.ReplaceAll(s, `\`, "")
	for _, word := range strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune(`,;="[]% `+"\t", c) }) {
		host, _, _ := strings.Cut(word, ":")
		for _, candidate := range []string{word, host} {
			if a, err := netip.ParseAddr(candidate); err == nil && a.Unmap() == addr {
				return true
			}
		}
	}
	return false
}
