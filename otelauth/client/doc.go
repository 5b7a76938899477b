// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package client is the client side of HTTP Basic Auth: an [http.RoundTripper] that adds
// credentials (RFC 7617) to requests for the configured origins and to no other request.
//
//	t, err := client.New(client.Config{
//		Origins: []string{"https://orders.example"},
//		File:    "/run/secrets/orders", // name:password
//	})
//	...
//	c := &http.Client{Transport: t}
//
// Each call is one client span of otelhttp, and the trace is propagated. A 401 sets auth.scheme
// and auth.outcome on that span.
//
// The Transport has these restrictions:
//
//   - It sends credentials only to an origin (scheme, host, port) in [Config.Origins]. A redirect
//     to another host, another port, a subdomain, or from https to http arrives without them.
//   - It sends credentials in plaintext only to loopback and to the networks in
//     [Config.DangerouslyAllowPlaintextFrom]. It checks the address of the connection, after name
//     resolution, so a DNS answer cannot redirect the password.
//   - It sends no credentials in plaintext through a proxy.
//   - It refuses credentials inside a URL (http://name:password@host), because URLs are logged.
//   - No error, span or [http.Response.Request] holds a password.
//
// Credentials are sent before a challenge (RFC 7617 section 2.2). Rotation needs no restart: a
// changed file is read again. A request that got a 401 because the credentials changed is sent
// once more with the new ones if its body can be replayed.
package client
