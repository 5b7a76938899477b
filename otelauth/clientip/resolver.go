// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Resolver finds the caller's address. The zero Resolver believes no header: the peer is the client.
// A Resolver is immutable and safe for concurrent use.
type Resolver struct {
	proxies   proxies
	trustUnix bool
	header    Header
}

// Client is who calls, as far as that can be known. Addresses carry no zone, and
// IPv4-mapped IPv6 addresses are IPv4. The zero Client is unknown and not secure.
type Client struct {
	// Addr is the client's address; the zero Addr when unknown, as on a unix socket.
	Addr netip.Addr
	// Port is the client's port; 0 when unknown, as it is behind most proxies.
	Port uint16
	// Peer is the other end of the connection; the zero AddrPort on a unix socket, and when
	// http.Request.RemoteAddr is not what net/http delivers.
	Peer netip.AddrPort
	// PeerTrusted says that the peer is a trusted proxy.
	PeerTrusted bool
	// Secure says that nobody between the client and this service can read what it sent; see [Resolver.Resolve].
	Secure bool
}

// Ignored reports whether h, the header of the request that c was resolved from, has an X-Forwarded-For or Forwarded field
// that was not looked at because the peer is no trusted proxy. Either a client is trying its luck, or a proxy is missing in
// [Config], and then all its clients share one address.
func (c Client) Ignored(h http.Header) bool { return !c.PeerTrusted && forwarded(h) }

// MaxHops is how many entries of the configured header are read, from the right. A chain of more trusted proxies does
// not occur; the one at the bound is then taken for the client.
const MaxHops = 32

// Resolve finds out who sent req. It never fails: what cannot be known is left zero. It allocates nothing unless an
// entry cannot be read or uses quoted-pairs.
//
// When the peer is a trusted proxy, the configured header is read from right to left over all its lines, and the first
// address that is no trusted proxy is the client. When all are trusted, the left-most is: a call from inside. Without the
// header the proxy itself is the client, as in a health check.
//
// An entry that cannot be read (garbage, nothing, "unknown", an obfuscated "_id") ends the walk, and the
// trusted hop to its right, which could not or would not say who called, stands for the client. Going on to the
// left would take the word of somebody who has no address. Clients behind such a hop share one address, which
// is true and can be throttled; the alternative is an address that a client chooses. So does an entry
// longer than 128 bytes, 1 KiB for Forwarded, and a Forwarded element that breaks the grammar of RFC 7239.
//
// Secure is decided by the first of these rules that fits:
//
//   - A trusted proxy names the scheme (the right-most X-Forwarded-Proto, or proto= of the right-most Forwarded
//     element): https and wss are secure, anything else is plaintext, be it from loopback or over TLS, because
//     the password was readable on the way to the proxy.
//   - The connection uses TLS: secure.
//   - A trusted proxy that names no scheme: not secure. It may listen on port 80.
//   - A loopback or unix-socket peer that sends no header of a proxy (Forwarded, X-Forwarded-For, -Proto or -Host,
//     X-Real-Ip, Via): secure.
//   - Everybody else: not secure.
//
// A peer counts as a unix socket by what the server's listener is ([http.LocalAddrContextKey]), not by what RemoteAddr
// looks like.
//
// RFC 7239, section 8.1: such a header can be relied on as far as the proxies that wrote it can, and no further.
func (r *Resolver) Resolve(req *http.Request) Client {
	var c Client
	unix := false
	if addr, port, kind := parseNode(req.RemoteAddr, false); kind == withPort {
		c.Peer = netip.AddrPortFrom(addr, port)
		c.PeerTrusted = r.proxies.contain(addr)
	} else {
		unix = isUnix(req)
		c.PeerTrusted = unix && r.trustUnix
	}
	c.Addr, c.Port = c.Peer.Addr(), c.Peer.Port()

	h := req.Header
	if !c.PeerTrusted {
		c.Secure = req.TLS != nil || (unix || c.Addr.IsLoopback()) && !forwarded(h) && !proxied(h)
		return c
	}

	var proto string
	if r.header == Forwarded {
		proto = r.walk(h["Forwarded"], &c)
	} else {
		r.walk(h["X-Forwarded-For"], &c)
		proto = lastValue(h["X-Forwarded-Proto"])
	}
	if proto == "" {
		c.Secure = req.TLS != nil
	} else {
		c.Secure = strings.EqualFold(proto, "https") || strings.EqualFold(proto, "wss")
	}
	return c
}

// walk moves c from the peer to the client along the lines of the configured header. It returns the proto of the
// right-most element, "" when there is none.
func (r *Resolver) walk(lines []string, c *Client) (proto string) {
	l := list{lines: lines, forwarded: r.header == Forwarded}
	for i := range MaxHops {
		e, more := l.previous()
		if !more {
			break
		}
		if i == 0 {
			proto = e.proto
		}
		addr, port, kind := parseNode(e.node, r.header == XForwardedFor)
		if kind == unreadable {
			break
		}
		c.Addr, c.Port = addr, port
		if !r.proxies.contain(addr) {
			break
		}
	}
	return proto
}

// isUnix asks the listener. A RemoteAddr of "@" would do, but code in front of us can write a
// header's value there.
func isUnix(req *http.Request) bool {
	local, ok := req.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr)
	return ok && local != nil
}

// forwarded looks for the two headers that report addresses.
func forwarded(h http.Header) bool { return len(h["X-Forwarded-For"]) > 0 || len(h["Forwarded"]) > 0 }

// proxied looks for the headers, beside the two that report addresses, by which a proxy gives itself away.
func proxied(h http.Header) bool {
	return len(h["X-Forwarded-Proto"]) > 0 || len(h["X-Forwarded-Host"]) > 0 || len(h["X-Real-Ip"]) > 0 || len(h["Via"]) > 0
}
