// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Resolver finds the client's address. The zero Resolver believes no header: the peer is the
// client. A Resolver is immutable and safe for concurrent use.
type Resolver struct {
	proxies   proxies
	trustUnix bool
	header    Header
}

// Client is the sender of a request, as far as it is known. Its addresses have no zone, and
// IPv4-mapped IPv6 addresses are IPv4. The zero Client is unknown and not secure.
type Client struct {
	// Addr is the client's address; the zero Addr when unknown, as on a unix socket.
	Addr netip.Addr
	// Port is the client's port; 0 when unknown, as it is behind most proxies.
	Port uint16
	// Peer is the other end of the connection; the zero AddrPort on a unix socket, and when
	// http.Request.RemoteAddr has not the form that net/http sets.
	Peer netip.AddrPort
	// PeerTrusted is true when the peer is a trusted proxy.
	PeerTrusted bool
	// Secure is true when the request was not readable in transit; see [Resolver.Resolve].
	Secure bool
}

// Ignored reports whether h has an X-Forwarded-For or Forwarded field that was ignored because the
// peer is not a trusted proxy. h is the header of the request from which c was resolved. The
// client invents the field, or a proxy is missing in [Config]: then all its clients share one
// address.
func (c Client) Ignored(h http.Header) bool { return !c.PeerTrusted && isForwarded(h) }

// maxHops bounds how many entries of the configured header are read, from the right. The entry at
// the bound counts as the client. Real chains of trusted proxies are shorter.
const maxHops = 32

// Resolve returns the client that sent req. It does not fail: unknown fields remain zero. It
// allocates only for an entry that is unreadable or uses quoted-pairs.
//
// When the peer is a trusted proxy, Resolve reads the configured header from right to left over
// all its lines. The first address that is not a trusted proxy is the client. When all addresses
// are trusted, the left-most is the client: a call from inside. Without the header the proxy
// itself is the client, as in a health check.
//
// An unreadable entry ends the search: garbage, an empty entry, "unknown", an obfuscated "_id", an
// entry longer than 128 bytes (1 KiB for Forwarded), or a Forwarded element that breaks the
// grammar of RFC 7239. The trusted hop to its right is then the client. Entries further left are
// not believed, because their author has no address. Clients behind such a hop share one address,
// which a client cannot choose and which can be throttled.
//
// The first rule that matches decides Secure:
//
//   - A trusted proxy names the scheme, in the right-most X-Forwarded-Proto or in proto= of the
//     right-most Forwarded element. https and wss are secure. Any other scheme is not, even from
//     loopback or over TLS, because the password was readable between the client and the proxy.
//   - The connection uses TLS: secure.
//   - A trusted proxy names no scheme: not secure. It may listen on port 80.
//   - A loopback or unix-socket peer sends no header of a proxy (Forwarded, X-Forwarded-For,
//     -Proto or -Host, X-Real-Ip, Via): secure.
//   - Otherwise: not secure.
//
// The server's listener ([http.LocalAddrContextKey]) decides whether the peer is a unix socket,
// not the text of RemoteAddr.
//
// The header is as reliable as the proxies that wrote it (RFC 7239, section 8.1).
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
		c.Secure = req.TLS != nil || (unix || c.Addr.IsLoopback()) && !isForwarded(h) && !isProxied(h)
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

// walk moves c from the peer to the client along the lines of the configured header. It returns
// the proto of the right-most element, or "".
func (r *Resolver) walk(lines []string, c *Client) (proto string) {
	l := list{lines: lines, isForwarded: r.header == Forwarded}
	for i := range maxHops {
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

// isUnix reports whether the listener is a unix socket. RemoteAddr is not used, because an outer
// handler may write a header's value into it.
func isUnix(req *http.Request) bool {
	local, ok := req.Context().Value(http.LocalAddrContextKey).(*net.UnixAddr)
	return ok && local != nil
}

// isForwarded reports whether h has one of the two headers with addresses.
func isForwarded(h http.Header) bool { return len(h["X-Forwarded-For"]) > 0 || len(h["Forwarded"]) > 0 }

// isProxied reports whether h has another header that proxies add.
func isProxied(h http.Header) bool {
	return len(h["X-Forwarded-Proto"]) > 0 || len(h["X-Forwarded-Host"]) > 0 || len(h["X-Real-Ip"]) > 0 || len(h["Via"]) > 0
}
