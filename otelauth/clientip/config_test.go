// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/clientip"
)

func TestNewReportsEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := clientip.New(clientip.Config{
		TrustedProxies: []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"),
			{},
			netip.MustParsePrefix("0.0.0.0/0"),
			netip.MustParsePrefix("10.1.2.3/8"),
			netip.MustParsePrefix("::ffff:10.0.0.0/104"),
			netip.MustParsePrefix("::/0"),
		},
		Header: 7,
	})
	if err == nil {
		t.Fatal("no error")
	}
	problems := strings.Split(err.Error(), "\n")
	wants := []string{
		"TrustedProxies[1]: the prefix is not valid",
		"TrustedProxies[2]: 0.0.0.0/0 trusts every client",
		"TrustedProxies[3]: 10.1.2.3/8 has host bits; write 10.0.0.0/8 for the network or 10.1.2.3/32",
		"TrustedProxies[4]: ::ffff:10.0.0.0/104 is an IPv4-mapped prefix",
		"TrustedProxies[5]: ::/0 trusts every client",
		"Header: Header(7) is unknown",
	}
	if len(problems) != len(wants) {
		t.Fatalf("%d problems, want %d: %v", len(problems), len(wants), err)
	}
	for i, want := range wants {
		if !strings.HasPrefix(problems[i], "clientip: "+want) {
			t.Errorf("%s, want clientip: %s", problems[i], want)
		}
	}
}

func TestZeroConfigIsZeroResolver(t *testing.T) {
	t.Parallel()
	req := request("10.0.0.9:40000", "X-Forwarded-For: 203.0.113.7")
	var zero clientip.Resolver
	if got, want := resolver(t, clientip.Config{}).Resolve(req), zero.Resolve(req); got != want || got.PeerTrusted {
		t.Errorf("%+v, the zero Resolver returns %+v", got, want)
	}
	if clientip.XForwardedFor != 0 {
		t.Error("X-Forwarded-For is not the default")
	}
}

// New keeps a copy: the caller's slice may change.
func TestNewCopies(t *testing.T) {
	t.Parallel()
	cfg := trusting(clientip.XForwardedFor)
	r := resolver(t, cfg)
	for i := range cfg.TrustedProxies {
		cfg.TrustedProxies[i] = netip.MustParsePrefix("203.0.113.0/24")
	}
	if !r.Resolve(request("10.0.0.9:1")).PeerTrusted || r.Resolve(request("203.0.113.7:1")).PeerTrusted {
		t.Error("the Resolver shares the caller's slice")
	}
}

// Binary and linear search must agree.
func TestTrustedProxiesAgainstLinearSearch(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	address := func() netip.Addr { // few distinct bytes, so that prefixes nest and meet
		if random.IntN(3) == 0 {
			a := [16]byte{0x20, 1}
			a[2], a[15] = byte(random.IntN(4)<<6), byte(random.IntN(4))
			return netip.AddrFrom16(a)
		}
		return netip.AddrFrom4([4]byte{10, byte(random.IntN(4) << 6), byte(random.IntN(2)), byte(random.IntN(4))})
	}
	for range 300 {
		var cfg clientip.Config
		for range random.IntN(12) {
			a := address()
			cfg.TrustedProxies = append(cfg.TrustedProxies, netip.PrefixFrom(a, 1+random.IntN(a.BitLen())).Masked())
		}
		r := resolver(t, cfg)
		for range 100 {
			a := address()
			want := false
			for _, p := range cfg.TrustedProxies {
				want = want || p.Contains(a)
			}
			if got := r.Resolve(request(netip.AddrPortFrom(a, 1).String())).PeerTrusted; got != want {
				t.Fatalf("%v in %v: %t, want %t", a, cfg.TrustedProxies, got, want)
			}
		}
	}
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string][2]string{
		"203.0.113.7":             {"203.0.113.7/32", "203.0.113.0/24"},
		"::ffff:203.0.113.7":      {"203.0.113.7/32", "203.0.113.0/24"},
		"2001:db8:1:2:3:4:5:6":    {"2001:db8:1:2::/64", "2001:db8:1::/48"},
		"fe80::1%eth0":            {"fe80::/64", "fe80::/48"},
		"::ffff:203.0.113.7%eth0": {"203.0.113.7/32", "203.0.113.0/24"},
	} {
		a := netip.MustParseAddr(addr)
		network, site := clientip.Network(a), clientip.Site(a)
		if got := [2]string{network.String(), site.String()}; got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
		if network != network.Masked() || site != site.Masked() || !site.Contains(network.Addr()) {
			t.Errorf("%s: %v is not inside %v", addr, network, site)
		}
	}
	if clientip.Network(netip.Addr{}) != (netip.Prefix{}) || clientip.Site(netip.Addr{}) != (netip.Prefix{}) {
		t.Error("the zero Addr has a network")
	}
}

func TestHeaderString(t *testing.T) {
	t.Parallel()
	if got := fmt.Sprint(clientip.XForwardedFor, clientip.Forwarded, clientip.Header(9)); got != "X-Forwarded-For Forwarded Header(9)" {
		t.Error(got)
	}
}
