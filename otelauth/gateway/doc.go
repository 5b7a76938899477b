// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package gateway puts otelauth in front of a service in any language: a reverse proxy that lets a request through when
// its credentials are right and its path's rule allows the account, and that leaves the same span, counts and event of each
// attempt as the middleware does inside of a Go service.
//
//	gw, err := gateway.New(gateway.Config{
//		Upstream: "http://127.0.0.1:8000",
//		Auth:     otelauth.Config{Realm: "orders", Accounts: users},
//		Rules: []gateway.Rule{
//			{Pattern: "GET /static/", Access: gateway.Public},
//			{Pattern: "/admin/", Groups: []string{"ops"}, Sensitive: true},
//		},
//	})
//	...
//	err = gw.Serve(ctx, listener) // until ctx ends, then it drains
//
// # Which rule holds
//
// Patterns are those of http.ServeMux, and the pattern of a rule is the http.route of every signal. What no rule names requires
// credentials of any account, and its route is "/". Three principles apply; docs/paths.md explains them with a table of
// examples.
//
// What opens is compared exactly: a public rule, and a rule that is an exception from a restriction, holds for the canonical spelling of a
// path only. Of the rules that name a path, the most specific one holds; where two match and neither is more specific, both hold,
// and a host makes a pattern more specific than the same one without.
//
// What restricts is compared loosely: a rule with Accounts or Groups, and one that requires credentials, also holds for every path
// that some server takes for its own: other letter case, accents, "/admin.json" and "/index.php/admin/" beside "/admin/". A rule
// for "/" with Groups restricts everything that no other rule names exactly, so that no spelling needs to be foreseen;
// it is recommended.
//
// What cannot be compared is answered 400, and a path of more than 8 KiB 414, before anything is verified. Paths with encoded
// slashes, semicolons and the like, about which servers disagree, are refused too, except beneath Config.AllowRawPaths. There
// they are never public, and every restriction holds that any reading leads to. The gateway forwards the path that it judged.
//
// COPY, MOVE, DELETE, SEARCH and a deep PROPFIND, REPORT or LOCK need every rule beneath their path, and COPY and MOVE what their
// Destination needs.
//
// A rule with a method is as strong as the upstream's belief in the request line. The headers that override a
// method are removed; a "_method" field in a form is not seen. Name a path without a method where the upstream reads such
// fields. Where the query names the endpoint, as in "/index.php?page=admin", no path restricts it.
//
// # What reaches the upstream
//
// The identity headers, Remote-User and X-Forwarded-User by default, hold the account's name, and nobody else can write them.
// X-Forwarded-For, -Host and -Proto say what the gateway knows. The traceparent is that of the gateway's span, X-Request-Id
// the caller's or a new one. Removed are Authorization (see Config.PassAuthorization), every header by which a client could
// claim an identity, an address, another host, path or method ([DefaultStripHeaders]), every header whose name holds other
// characters than letters, digits and "-", because CGI and WSGI take "Remote_User" for "Remote-User", and any Upgrade but
// to WebSocket: h2c would be a tunnel past every rule.
//
// # What it refuses to do
//
// It serves no plaintext to other machines, except behind trusted proxies; it is no forward proxy (CONNECT and TRACE are
// refused); it buffers no bodies, keeps no sessions and balances no load. Browsers send Basic credentials by themselves, also for pages
// of strangers, so what is unsafe and comes from another origin is refused, WebSocket handshakes included. And it cannot
// see requests that net/http refuses to parse: they never reach a handler, and are counted by connection; what it refuses of a
// stream of HTTP/2 is not counted.
package gateway
