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

// ErrPlaintext is what a request fails with, by errors.Is, when its credentials would have crossed a
// network in plaintext that [Config.DangerouslyAllowPlaintextFrom] does not name.
var ErrPlaintext = errors.New("otelauth/client: credentials are not sent in plaintext; " +
	"use https, or name the network in DangerouslyAllowPlaintextFrom")

// networks are where plaintext may go.
type networks []netip.Prefix

func (n networks) hold(a netip.Addr) bool {
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

// allowOrigin says why credentials may not be sent to a plaintext origin whatever its name resolves to,
// or nil. checked says that the addresses of its connections are judged later.
func (n networks) allowOrigin(o origin, checked bool) error {
	if a, err := netip.ParseAddr(o.host); err == nil {
		if n.hold(a) {
			return nil
		}
		return errors.New("is plaintext to an address that is neither loopback nor in DangerouslyAllowPlaintextFrom; use https")
	}
	switch {
	case o.host == "localhost": // RFC 6761 section 6.3
		return nil
	case len(n) == 0:
		return errors.New("is plaintext to a host that is neither a loopback address nor localhost; " +
			"use https, or name its network in DangerouslyAllowPlaintextFrom")
	case !checked:
		return errors.New("is plaintext to a host name, and Base is no *http.Transport whose connections could be judged; " +
			"use https, or write the IP address")
	}
	return nil
}

// guard returns a copy of base that gives up a connection to one of the plaintext origins when its other
// end is not in allowed, and that sends nothing for them through a proxy.
//
// The check stands behind the dialler, before a byte is written: whatever a resolver said, and however often it
// changed its mind, this is the address that the password goes to. Connections are pooled by scheme and address, so
// one that is used again was judged when it was made.
func guard(base *http.Transport, origins map[origin]struct{}, allowed networks) *http.Transport {
	t := base.Clone()
	guarded := make(map[string]struct{})
	for o := range origins {
		if o.plaintext() {
			guarded[o.addr()] = struct{}{}
		}
	}

	if proxy := t.Proxy; proxy != nil {
		t.Proxy = func(r *http.Request) (*url.URL, error) {
			u, err := proxy(r)
			if err != nil || u == nil {
				return u, err
			}
			if o, ok := originOf(r.URL); ok && o.plaintext() {
				if _, ours := origins[o]; ours {
					return nil, fmt.Errorf("%w (%s is reached through a proxy; except it with NO_PROXY)", ErrPlaintext, o)
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
			// net/http gives HTTP/2 up when it sees a dialler that is not its own. This one is.
			if _, auto := base.TLSNextProto["h2"]; auto {
				t.ForceAttemptHTTP2 = true
			}
		}
	}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil || !isGuarded(guarded, addr) || allowed.holdConn(conn) {
			return conn, err
		}
		_ = conn.Close()
		return nil, fmt.Errorf("%w (%s is at %s)", ErrPlaintext, addr, conn.RemoteAddr())
	}
	return t
}

// isGuarded reads addr as originOf reads a URL: two spellings of one address are one address here too. What it cannot
// read is judged.
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
		return false // no origin has such a host
	}
	_, ok = guarded[net.JoinHostPort(host, port)]
	return ok
}

func (n networks) holdConn(conn net.Conn) bool {
	remote := conn.RemoteAddr()
	if remote == nil {
		return false
	}
	if remote.Network() == "unix" {
		return true // never leaves the machine
	}
	ap, err := netip.ParseAddrPort(remote.String())
	return err == nil && n.hold(ap.Addr())
}
