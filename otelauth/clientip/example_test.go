// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip_test

import (
	"fmt"
	"net/http/httptest"
	"net/netip"

	"github.com/otelauth/otelauth-go/otelauth/clientip"
)

func ExampleNew() {
	_, err := clientip.New(clientip.Config{
		TrustedProxies: []netip.Prefix{
			netip.MustParsePrefix("10.1.2.3/8"),
			netip.MustParsePrefix("0.0.0.0/0"),
		},
	})
	fmt.Println(err)
	// Output:
	// clientip: TrustedProxies[0]: 10.1.2.3/8 has host bits; write 10.0.0.0/8 for the network or 10.1.2.3/32 for the one address
	// clientip: TrustedProxies[1]: 0.0.0.0/0 trusts every client to choose its own address; list the networks of the proxies only
}

func ExampleResolver_Resolve() {
	resolver, err := clientip.New(clientip.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// The client wrote 127.0.0.1; the proxy appended the real address.
	r := httptest.NewRequest("GET", "/orders", nil)
	r.RemoteAddr = "10.1.0.9:40000"
	r.Header.Set("X-Forwarded-For", "127.0.0.1, 203.0.113.7")
	r.Header.Set("X-Forwarded-Proto", "https")
	client := resolver.Resolve(r)
	fmt.Println(client.Addr, client.Secure)

	// The same headers from another peer are ignored.
	r.RemoteAddr = "198.51.100.1:40000"
	client = resolver.Resolve(r)
	fmt.Println(client.Addr, client.Secure, client.Ignored(r.Header))
	// Output:
	// 203.0.113.7 true
	// 198.51.100.1 false true
}

func ExampleResolver_Resolve_forwarded() {
	resolver, err := clientip.New(clientip.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
		Header:         clientip.Forwarded,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("GET", "/orders", nil)
	r.RemoteAddr = "10.1.0.9:40000"
	r.Header.Set("Forwarded", `for="[2001:db8:cafe::17]:4711";proto=https`)
	client := resolver.Resolve(r)
	fmt.Println(client.Addr, client.Port, client.Secure)
	// Output:
	// 2001:db8:cafe::17 4711 true
}

func ExampleNetwork() {
	fmt.Println(clientip.Network(netip.MustParseAddr("203.0.113.7")))
	fmt.Println(clientip.Network(netip.MustParseAddr("2001:db8:1:2:3:4:5:6")))
	// Output:
	// 203.0.113.7/32
	// 2001:db8:1:2::/64
}

func ExampleSite() {
	fmt.Println(clientip.Site(netip.MustParseAddr("203.0.113.7")))
	fmt.Println(clientip.Site(netip.MustParseAddr("2001:db8:1:2:3:4:5:6")))
	// Output:
	// 203.0.113.0/24
	// 2001:db8:1::/48
}
