// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Config configures a [Resolver]. The zero Config believes no header: the peer is the client.
type Config struct {
	// TrustedProxies are the networks of the proxies in front of this service; none by default. A
	// prefix must be masked (10.0.0.0/8, not 10.1.2.3/8) and not IPv4-mapped. It must not be /0:
	// every client could then choose its own address.
	TrustedProxies []netip.Prefix
	// TrustUnixSocket makes the other end of a unix socket a trusted proxy, for example nginx in
	// front of a socket. By default it is a local client. It affects listeners on unix sockets
	// only.
	TrustUnixSocket bool
	// Header is the one header that trusted proxies write; [XForwardedFor] by default. The other
	// one is never read: a proxy that writes one of them forwards the client's version of the
	// other.
	Header Header
}

// Header is a request header in which proxies record the address of their client.
type Header uint8

const (
	// XForwardedFor is X-Forwarded-For together with X-Forwarded-Proto. The zero Header.
	XForwardedFor Header = iota
	// Forwarded is the header of RFC 7239.
	Forwarded
)

// String returns the field's name.
func (h Header) String() string {
	switch h {
	case XForwardedFor:
		return "X-Forwarded-For"
	case Forwarded:
		return "Forwarded"
	}
	return fmt.Sprintf("Header(%d)", uint8(h))
}

// New returns the Resolver for cfg. The error joins one error for each problem of cfg.
func New(cfg Config) (*Resolver, error) {
	var problems []error
	for i, p := range cfg.TrustedProxies {
		if err := check(p); err != nil {
			problems = append(problems, fmt.Errorf("clientip: TrustedProxies[%d]: %w", i, err))
		}
	}
	if cfg.Header > Forwarded {
		problems = append(problems, fmt.Errorf("clientip: Header: %v is unknown; use XForwardedFor or Forwarded", cfg.Header))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return &Resolver{
		proxies:   disjoint(cfg.TrustedProxies),
		trustUnix: cfg.TrustUnixSocket,
		header:    cfg.Header,
	}, nil
}

func check(p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return errors.New("the prefix is not valid; write a network such as 10.0.0.0/8 or one address as 192.0.2.1/32")
	case p.Bits() == 0:
		return fmt.Errorf("%v trusts every client to choose its own address; list the networks of the proxies only", p)
	case p.Addr().Is4In6():
		return fmt.Errorf("%v is an IPv4-mapped prefix, which matches no address; write it as IPv4", p)
	case p.Masked() != p:
		return fmt.Errorf("%v has host bits; write %v for the network or %v for the one address",
			p, p.Masked(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
	}
	return nil
}

// proxies are sorted prefixes that do not overlap.
type proxies []netip.Prefix

// disjoint returns the prefixes sorted, without those inside of others. Two prefixes are nested or
// disjoint, so comparing with the last kept prefix is enough.
func disjoint(prefixes []netip.Prefix) proxies {
	var kept proxies
	for _, p := range slices.SortedFunc(slices.Values(prefixes), netip.Prefix.Compare) {
		if n := len(kept); n == 0 || !kept[n-1].Overlaps(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// contain reports whether a prefix contains addr, in logarithmic time: published lists of content
// delivery networks have hundreds of prefixes.
func (ps proxies) contain(addr netip.Addr) bool {
	low, high := 0, len(ps)
	for low < high {
		if mid := (low + high) / 2; ps[mid].Addr().Compare(addr) <= 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low > 0 && ps[low-1].Contains(addr)
}
