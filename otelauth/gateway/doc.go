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
// Patterns are those of http.ServeMux, and the pattern of a rule is the http.route of every signal. The most specific one that
// matches holds; where two match and neither is more specific, both hold, and a host makes a pattern more specific than the same
// one without. What no rule names requires credentials, and its route is "/".
//
// What the upstream makes of a path is unknowable, so a rule that restricts also holds for paths that the upstream may take for
// its own: other letter case, dots and blanks at the end of a segment, a slash more or less at the end, another spelling of the
// same Unicode letters. Only a rule that names the path letter by letter is alone: "GET /api" may be public beside a
// restricted "/api/". It does not hold for other names of one thing: name "/admin.json" too where the framework takes it for
// "/admin". Where the query names the endpoint, as in "/index.php?page=admin", no path restricts it.
//
// A path that is not in normal form (an encoded slash, backslash, dot or percent sign, a dot segment, an empty segment, ";", a
// control character, octets that are not UTF-8) is answered 400 before anything is verified. A pattern of Config.AllowRawPaths
// lets such paths pass to a service that needs them; they are never public, and every restriction holds that any way of
// decoding the path leads to: the account must be one that all of those rules allow. The same restrictions hold for a path that
// only trimming or Unicode makes another one ("/a/.. /b", a full-width solidus), which is public where all its readings are; and
// COPY and MOVE need what their Destination needs.
//
// A rule with a method is as strong as the upstream's belief in the request line. The headers that override a
// method are removed; a "_method" field in a form is not seen. Name a path without a method where the upstream reads such
// fields.
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
