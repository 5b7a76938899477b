// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
)

// ErrPlaintext is the error, by errors.Is, of a request whose credentials would go in plaintext
// over a network that is not in [Config.DangerouslyAllowPlaintextFrom].
var ErrPlaintext = errors.New("otelauth/client: credentials are not sent in plaintext; " +
	"use https, or add the network to DangerouslyAllowPlaintextFrom")

// networks are the networks to which plaintext may go, besides loopback.
type networks []netip.Prefix

func (n networks) contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() {
		return true
	}
	for _, p := range n {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// allowOrigin returns an error for a plaintext origin that no address can make acceptable, or nil.
// canCheck means that the addresses of its connections are checked later.
func (n networks) allowOrigin(o origin, canCheck bool) error {
	if a, err := netip.ParseAddr(o.host); err == nil {
		if n.contains(a) {
			return nil
		}
		return errors.New("is plaintext to an address that is neither loopback nor in DangerouslyAllowPlaintextFrom; use https")
	}
	switch {
	case o.host == "localhost": // RFC 6761 section 6.3
		return nil
	case len(n) == 0:
		return errors.New("is plaintext to a host that is neither a loopback address nor localhost; " +
			"use https, or add its network to DangerouslyAllowPlaintextFrom")
	case !canCheck:
		return errors.New("is plaintext to a host name, and Base is not an *http.Transport whose connections can be checked; " +
			"use https, or write the IP address")
	}
	return nil
}

// guard returns a copy of base that closes a new connection to a plaintext origin whose remote
// address is not in allowed, and that sends no request to such an origin through a proxy.
//
// The check follows the dialer, before a byte is written. It sees the address that receives the
// password, whatever DNS answered. Connections are pooled by scheme and address, so a reused one
// was checked when it was opened.
func guard(base *http.Transport, origins map[origin]struct{}, allowed networks) *http.Transport {
	t := base.Clone()
	guarded := make(map[string]struct{})
	for o := range origins {
		if o.isPlaintext() {
			guarded[o.addr()] = struct{}{}
		}
	}

	if proxy := t.Proxy; proxy != nil {
		t.Proxy = func(r *http.Request) (*url.URL, error) {
			u, err := proxy(r)
			if err != nil || u == nil {
				return u, err
			}
			if o, ok := originOf(r.URL); ok && o.isPlaintext() {
				if _, isConfigured := origins[o]; isConfigured {
					return nil, fmt.Errorf("%w (%s is reached through a proxy; exclude it with NO_PROXY)", ErrPlaintext, o)
				}
			}
			return u, nil
		}
	}

	dial := t.DialContext
	if dial == nil {
		//lint:ignore SA1019 a Base that sets the old field must be guarded like any other.
		if old := t.Dial; old != nil { //nolint:staticcheck // as above
			dial = func(_ context.Context, network, addr string) (net.Conn, error) { return old(network, addr) }
		} else {
			dial = new(net.Dialer).DialContext
			// net/http disables HTTP/2 for a custom dialer. This one is the default dialer.
			if _, auto := base.TLSNextProto["h2"]; auto {
				t.ForceAttemptHTTP2 = true
			}
		}
	}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil || !isGuarded(guarded, addr) || allowed.containsRemote(conn) {
			return conn, err
		}
		_ = conn.Close()
		return nil, fmt.Errorf("%w (%s is at %s)", ErrPlaintext, addr, conn.RemoteAddr())
	}
	return t
}

// isGuarded reports whether addr belongs to a plaintext origin, with the same canonical form as
// originOf. An address that it cannot parse is guarded.
func isGuarded(guarded map[string]struct{}, addr string) bool {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return true
	}
	port, ok := normalPort(port)
	if !ok {
		return true
	}
	host, ok = normalHost(host)
	if !ok {
		return false // not the host of an origin
	}
	_, ok = guarded[net.JoinHostPort(host, port)]
	return ok
}

func (n networks) containsRemote(conn net.Conn) bool {
	remote := conn.RemoteAddr()
	if remote == nil {
		return false
	}
	if remote.Network() == "unix" {
		return true // never leaves the machine
	}
	ap, err := netip.ParseAddrPort(remote.String())
	return err == nil && n.contains(ap.Addr())
}
