// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package client is the calling side of HTTP Basic Auth: an [http.RoundTripper] that adds
// credentials (RFC 7617) to requests for the origins it was given, and to no other request.
//
//	t, err := client.New(client.Config{
//		Origins: []string{"https://orders.example"},
//		File:    "/run/secrets/orders", // name:password
//	})
//	...
//	c := &http.Client{Transport: t}
//
// Each call is one client span of otelhttp, the trace is propagated, and a 401 leaves
// auth.scheme and auth.outcome on that span.
//
// It refuses
//
//   - to send credentials to an origin (scheme, host, port) that is not in [Config.Origins]: a redirect
//     to another host, another port, a subdomain, or from https to http arrives without them;
//   - to send credentials in plaintext to anything but loopback, unless the network is named in
//     [Config.DangerouslyAllowPlaintextFrom]. It is the address of the connection that is judged, after
//     the name was resolved, so what DNS answers cannot move the password elsewhere;
//   - to send credentials in plaintext through a proxy;
//   - credentials inside a URL (http://name:password@host), which end up in logs;
//   - to show a password: no error, span or [http.Response.Request] holds one.
//
// Credentials are sent without being asked for (RFC 7617 section 2.2). Rotation needs no restart: a
// changed file is read again, and a request that was answered 401 because the credentials
// changed meanwhile is sent once more with the new ones if its body can be replayed.
package client
