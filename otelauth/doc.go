// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package otelauth verifies HTTP Basic Auth so that no attempt is ever invisible: each
// verification runs inside a span, is counted for its endpoint and leaves one structured event, all three tied by
// one trace id, with the user, the client and the outcome on them.
//
//	users, err := htpasswd.Open(htpasswd.Config{Path: "users.htpasswd"})
//	mw, err := otelauth.New(otelauth.Config{Realm: "orders", Accounts: users, Routes: mux})
//	handler := otelhttp.NewHandler(mw.Wrap(mux), "orders",
//		otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName("orders.example:443"))
//	...
//	err = mw.Close() // after the last request, before telemetry is shut down
//
// What [Middleware.Wrap] wraps is protected: an endpoint that nobody named in Config.Public is closed. A
// handler finds the caller with [UserFromContext].
//
// # The pipeline
//
// A request passes these stages, each a package of its own, in this order:
//
//	1  credential   what did the client send?    RFC 7617, strictly
//	2  clientip     who is calling?              trusted proxies only
//	3  throttle     may this one try?            guesses are paid for before they are hashed
//	4  verify       is it right?                 recognised by a keyed MAC, or hashed behind a fair gate
//	5  otelauth     what is answered?            RFC 9110 challenges, RFC 9457 problems
//	6  spans, metrics, otelauth/audit            what is told
//	7  detect       what do attempts add up to?  rules over two weeks, off the path of requests
//
// Stages 1 to 4 write neither HTTP nor telemetry. The verdict is an attempt.Result; observers (6 and 7) tell it, and one file
// of this package turns it into an answer. Budgets, detection and the folding of events are on without a word
// in the [Config]; Config.Throttle, Config.Detect and Config.Events change them.
//
// # Bounds of telemetry
//
// This module bounds every attribute that it writes. Two settings of the service bound what otelhttp writes:
//
//   - otelhttp.WithServerName with a port. Without the port, otelhttp copies server.port from the Host header,
//     and each port that a client writes there is a new time series.
//   - A limit on the length of span attribute values, and a limit on the spans in one export. The SDK has no
//     limit on values by default: a User-Agent of 60 KB makes a span of 60 KB, and a collector refuses an
//     export above 4 MiB together with the spans of all other clients.
//
// The SDK reads these limits from OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT and OTEL_BSP_MAX_EXPORT_BATCH_SIZE, or from code:
//
//	limits := sdktrace.NewSpanLimits()
//	limits.AttributeValueLengthLimit = 512 // characters
//	traces := sdktrace.NewTracerProvider(sdktrace.WithRawSpanLimits(limits),
//		sdktrace.WithBatcher(exporter, sdktrace.WithMaxExportBatchSize(128)))
//
// # What it refuses to do
//
// It never verifies credentials that came in plaintext from another machine, believes no
// forwarding header from a peer that is no trusted proxy, keeps no password, and answers an
// unknown user exactly as a wrong password: same status, headers, body and work. It has no sessions, no
// tokens and no login page; it is Basic Auth, done as well as Basic Auth can be.
package otelauth
