// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package clientip finds the client's address and whether the request was readable in transit. It
// is stage 2 of the pipeline.
//
//	resolver, err := clientip.New(clientip.Config{
//		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")},
//	})
//	client := resolver.Resolve(r) // client.Addr, client.Secure
//
// Without trusted proxies the client is the peer, the other end of the connection. Behind them the
// client is the right-most address in the configured header that is not a trusted proxy. Each
// proxy appends on the right, so a client can invent everything further left. Many programs read
// the left-most entry, which a client can always choose.
//
// # Requirements for a trusted proxy
//
// A trusted proxy appends the address of its own peer to the configured header, or replaces the
// header. It also replaces the scheme: X-Forwarded-Proto beside X-Forwarded-For, proto= inside
// Forwarded. If it forwards the client's X-Forwarded-Proto, the client can claim https. For nginx:
//
//	proxy_set_header X-Forwarded-For   $proxy_add_x_forwarded_for;
//	proxy_set_header X-Forwarded-Proto $scheme;
//
// # Conflicting handlers
//
// A handler that writes a header's value into http.Request.RemoteAddr (chi's RealIP, gorilla's
// ProxyHeaders) hides the peer: the Resolver then uses an address that the client chose. Run the
// Resolver first, or remove the other handler. net/http always sets a port in RemoteAddr, so an
// address without a port is ignored as a value of such a handler.
package clientip
