// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package peers makes every verifier of the comparison answer behind one interface: the
// same accounts in, an [http.Handler] out. The peers are the published libraries themselves,
// pinned in go.mod; nothing of theirs is rewritten here.
//
// It refuses to flatter anybody: what a peer does beyond verification (routing, a
// config file that is read again) is in its [Service.Handler] and not in [Service.Verify].
//
//	users, err := peers.NewUsers(bcrypt.DefaultCost, "alice")
//	p, err := peers.ByName("caddy")
//	s, err := p.New(users, next)
//	defer s.Close()
//	http.Serve(listener, s.Handler)
package peers
