// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package clientip finds out who is calling, and whether what the caller sent could be overheard. It is stage
// 2 of the pipeline.
//
//	resolver, err := clientip.New(clientip.Config{
//		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
//	})
//	client := resolver.Resolve(r) // client.Addr, client.Secure
//
// It refuses to believe a header because it is there. Without trusted proxies the client is the other end of the
// connection. Behind them it is the right-most address of the one configured header that is no
// trusted proxy: each proxy writes to the right of what it was sent, so everything further left may be the client's own
// invention. The left-most entry, which many readers take, is that invention whenever there is one.
//
// # What a trusted proxy must do
//
// Append the address of its own peer to the configured header, or replace the header; and replace the
// scheme that goes with it (X-Forwarded-Proto beside X-Forwarded-For, proto= inside Forwarded). A proxy that hands on the
// client's own X-Forwarded-Proto lets the client say that it came in https. For nginx:
//
//	proxy_set_header X-Forwarded-For   $proxy_add_x_forwarded_for;
//	proxy_set_header X-Forwarded-Proto $scheme;
//
// # What must not stand in front
//
// A handler that writes a header's value into http.Request.RemoteAddr (chi's RealIP, gorilla's
// ProxyHeaders) hides the peer: every rule here then judges what the client wrote. Run the Resolver
// first, or leave the other out. An address without a port, which no server of net/http delivers,
// is taken for such a value and not believed.
package clientip
