// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Config says whose word is taken. The zero Config takes nobody's: the peer is the client.
type Config struct {
	// TrustedProxies are the networks of the proxies in front of this service; none by default. A prefix
	// must be masked (10.0.0.0/8, not 10.1.2.3/8), must not be an IPv4-mapped one, and must not be /0, with which
	// every client would choose its own address.
	TrustedProxies []netip.Prefix
	// TrustUnixSocket makes the other end of a unix socket a trusted proxy, as nginx in
	// front of a socket is. By default it is a local client. It concerns listeners on
	// unix sockets only.
	TrustUnixSocket bool
	// Header is the one header that trusted proxies write; [XForwardedFor] by default. The
	// other is never read: a proxy that writes one hands the client's own version of the other on.
	Header Header
}

// Header is a request header in which proxies report who called them.
type Header uint8

const (
	// XForwardedFor is X-Forwarded-For, with X-Forwarded-Proto beside it. The zero Header.
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

// New returns the Resolver for cfg, or every fault of cfg joined into one error, each with its index.
func New(cfg Config) (*Resolver, error) {
	var faults []error
	for i, p := range cfg.TrustedProxies {
		if err := check(p); err != nil {
			faults = append(faults, fmt.Errorf("clientip: TrustedProxies[%d]: %w", i, err))
		}
	}
	if cfg.Header > Forwarded {
		faults = append(faults, fmt.Errorf("clientip: Header: %v is none; use XForwardedFor or Forwarded", cfg.Header))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
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
		return fmt.Errorf("%v trusts everyone, so that every client chooses its own address; name the proxies", p)
	case p.Addr().Is4In6():
		return fmt.Errorf("%v is an IPv4-mapped prefix, which no address is compared with; write it as IPv4", p)
	case p.Masked() != p:
		return fmt.Errorf("%v has host bits; write %v for the network or %v for the one address",
			p, p.Masked(), netip.PrefixFrom(p.Addr(), p.Addr().BitLen()))
	}
	return nil
}

// proxies are prefixes in order, none inside of another.
type proxies []netip.Prefix

// disjoint sorts a copy of the prefixes and leaves out those that lie inside of others. Two prefixes
// are nested or have nothing in common, so comparing with the last one kept is enough.
func disjoint(prefixes []netip.Prefix) proxies {
	var kept proxies
	for _, p := range slices.SortedFunc(slices.Values(prefixes), netip.Prefix.Compare) {
		if n := len(kept); n == 0 || !kept[n-1].Overlaps(p) {
			kept = append(kept, p)
		}
	}
	return kept
}

// contain takes logarithmic time: published lists of content delivery networks have hundreds of prefixes.
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
