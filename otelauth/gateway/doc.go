// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package gateway is a reverse proxy that puts otelauth in front of a service in any language.
// It forwards a request when the credentials are right and the rules let the account call the
// path. Each attempt leaves the same span, metrics and event as the middleware records inside a
// Go service.
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
//	err = gw.Serve(ctx, listener) // until ctx ends; then it drains
//
// # Which rule applies
//
// Patterns have the syntax of http.ServeMux. The pattern of a rule is the http.route of every
// signal. A path that no rule names requires the credentials of any account, and its route is
// "/". Three principles apply; docs/paths.md explains them with a table of examples.
//
// What opens is compared exactly. A public rule, and a rule that is an exception from a
// restriction, applies to the canonical spelling of a path only. Of the rules that name a path,
// the most specific one applies. Where two match and neither is more specific, both apply. A
// pattern with a host is more specific than the same pattern without one.
//
// What restricts is compared loosely. A rule with Accounts or Groups, and a rule that requires
// credentials, also applies to every path that some server reads as the same path: other letter
// case, accents, "/admin.json" and "/index.php/admin/" beside "/admin/". We recommend a rule for
// "/" with Groups. It restricts everything that no other rule names exactly, so no spelling
// needs to be foreseen.
//
// What cannot be compared is refused before any credentials are verified: with 400, or with 414
// for a path of more than 8 KiB. Paths about which servers disagree, such as those with encoded
// slashes or semicolons, are refused too, except beneath Config.AllowRawPaths. There they are
// never public, and every restriction applies that any reading leads to. The gateway forwards
// the path that it judged.
//
// COPY, MOVE, DELETE, SEARCH and a deep PROPFIND, REPORT or LOCK need what every rule beneath
// their path needs. COPY and MOVE also need what their Destination needs.
//
// A rule with a method trusts the method in the request line. The gateway removes the headers
// that override a method, but it does not see a "_method" field in a form. Where the upstream
// reads such fields, write the rule without a method. Where the query selects the endpoint, as
// in "/index.php?page=admin", no path rule restricts it.
//
// # What reaches the upstream
//
// The identity headers, Remote-User and X-Forwarded-User by default, carry the account's name,
// and clients cannot set them. X-Forwarded-For, -Host and -Proto carry what the gateway knows.
// The traceparent is that of the gateway's span. X-Request-Id is the caller's or a new one.
//
// The gateway removes:
//   - Authorization (see Config.PassAuthorization), except credentials of another scheme than
//     Basic at public endpoints
//   - every header with which a client could claim an identity, an address, another host, path
//     or method ([DefaultStripHeaders])
//   - every header whose name has characters other than letters, digits and "-", because CGI and
//     WSGI read "Remote_User" as "Remote-User"
//   - any Upgrade except to WebSocket, because h2c would be a tunnel that bypasses every rule
//
// # What it refuses to do
//
// It serves no plaintext to other machines, except behind trusted proxies. It is not a forward
// proxy: CONNECT and TRACE are refused. It buffers no bodies, keeps no sessions and does not
// balance load. Browsers send Basic credentials automatically, also when a page of another site
// makes the request, so unsafe requests and WebSocket handshakes from another origin are
// refused. Requests that net/http refuses to parse never reach a handler: the gateway counts
// their connections. It does not count the HTTP/2 streams that net/http refuses.
package gateway
