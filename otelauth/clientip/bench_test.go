// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package clientip_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/clientip"
)

func benchmark(b *testing.B, r *clientip.Resolver, req *http.Request) {
	for _, name := range []string{"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie", "Referer", "Traceparent", "User-Agent"} {
		req.Header.Set(name, "x")
	}
	b.ReportAllocs()
	for b.Loop() {
		if !r.Resolve(req).Addr.IsValid() {
			b.Fatal("no address")
		}
	}
}

// BenchmarkParseAddrPort is the floor of any resolver that reads RemoteAddr with net/netip.
func BenchmarkParseAddrPort(b *testing.B) {
	remote := request("203.0.113.7:51234").RemoteAddr
	for b.Loop() {
		if _, err := netip.ParseAddrPort(remote); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResolve(b *testing.B) {
	xff, fwd := resolver(b, trusting(clientip.XForwardedFor)), resolver(b, trusting(clientip.Forwarded))
	b.Run("peer=IPv4", func(b *testing.B) { benchmark(b, new(clientip.Resolver), request("203.0.113.7:51234")) })
	b.Run("peer=IPv6", func(b *testing.B) { benchmark(b, new(clientip.Resolver), request("[2001:db8::1:2]:51234")) })
	b.Run("proxies=4", func(b *testing.B) { benchmark(b, xff, request("203.0.113.7:51234")) })
	b.Run("proxies=1000", func(b *testing.B) {
		var cfg clientip.Config
		for i := range 1000 {
			cfg.TrustedProxies = append(cfg.TrustedProxies, netip.MustParsePrefix(fmt.Sprintf("10.%d.%d.0/24", i/250, i%250)))
		}
		benchmark(b, resolver(b, cfg), request("203.0.113.7:51234"))
	})
	b.Run("X-Forwarded-For=1", func(b *testing.B) {
		benchmark(b, xff, request("10.0.0.9:51234", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"))
	})
	b.Run("X-Forwarded-For=3", func(b *testing.B) {
		benchmark(b, xff, request("10.0.0.9:51234", "X-Forwarded-For: 203.0.113.7, 10.0.0.3, 10.0.0.2", "X-Forwarded-Proto: https"))
	})
	b.Run("Forwarded=1", func(b *testing.B) {
		benchmark(b, fwd, request("10.0.0.9:51234", `Forwarded: for="[2001:db8::1]:4711";proto=https;by=10.0.0.9`))
	})
}
