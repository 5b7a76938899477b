// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package peers offers every verifier of the comparison behind one interface: accounts in, an
// [http.Handler] out. The peers are the published libraries themselves, pinned in go.mod and
// unchanged.
//
// What a peer does beyond verification (routing, a configuration file that is read again) is in
// its [Service.Handler] and not in [Service.Verify].
//
//	users, err := peers.NewUsers(bcrypt.DefaultCost, "alice")
//	p, err := peers.ByName("caddy")
//	s, err := p.New(users, next)
//	defer s.Close()
//	http.Serve(listener, s.Handler)
package peers
