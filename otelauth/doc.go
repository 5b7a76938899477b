// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package otelauth verifies HTTP Basic Auth so that no attempt is invisible. Each verification
// runs inside a span, is counted for its endpoint and leaves one structured event. All three share
// one trace id and record the user, the client and the outcome. Of identical denials in a flood a
// few leave an event each, and one event has the exact count of the others (Config.Events).
//
// A complete program:
//
//	package main
//
//	import (
//		"context"
//		"errors"
//		"fmt"
//		"log"
//		"net"
//		"net/http"
//		"os/signal"
//		"syscall"
//		"time"
//
//		"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
//		"github.com/otelauth/otelauth-go/otelauth"
//		"github.com/otelauth/otelauth-go/otelauth/telemetry"
//		"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
//	)
//
//	func main() {
//		ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
//		providers := must(telemetry.Start(ctx, "orders"))
//		users := must(htpasswd.Open(htpasswd.Config{Path: "users.htpasswd"}))
//		mux := http.NewServeMux()
//		mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
//			user, _ := otelauth.UserFromContext(r.Context())
//			fmt.Fprintf(w, "Order %q, shown to %s.\n", r.PathValue("id"), user.Name)
//		})
//		mw := must(otelauth.New(otelauth.Config{Realm: "orders", Accounts: users, Routes: mux}))
//		listener := must(new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:8080"))
//		server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: otelhttp.NewHandler(mw.Wrap(mux), "orders",
//			otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName(listener.Addr().String()))}
//		go func() { _ = server.Serve(listener) }()
//		<-ctx.Done() // Ctrl-C
//		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
//		defer cancel()
//		must(0, errors.Join(server.Shutdown(end), mw.Close(), users.Close(), providers.Shutdown(end)))
//	}
//
//	func must[T any](value T, err error) T {
//		if err != nil {
//			log.Fatal(err)
//		}
//		return value
//	}
//
// [Middleware.Wrap] protects every endpoint that Config.Public does not list. A handler finds the
// caller with [UserFromContext].
//
// # The pipeline
//
// A request passes these stages, each a package of its own, in this order:
//
//	1  credential   what did the client send?  RFC 7617, strictly
//	2  clientip     who is calling?            trusted proxies only
//	3  throttle     may it try?                a guess is charged before it is hashed
//	4  verify       is it right?               a keyed MAC in the cache, or a hash behind a fair gate
//	5  otelauth     what is the answer?        RFC 9110 challenges, RFC 9457 problem documents
//	6  spans, metrics, otelauth/audit          what is recorded?
//	7  detect       is it part of an attack?   rules over two weeks, outside of the request path
//
// Stages 1 to 4 write neither HTTP nor telemetry. They produce an attempt.Result, which the
// observers (6 and 7) record and one file of this package turns into an answer. Budgets, detection
// and the folding of events are on by default; Config.Throttle, Config.Detect and Config.Events
// change them.
//
// # Bounds of telemetry
//
// This module bounds every attribute that it writes. Two settings bound what otelhttp writes:
//
//   - otelhttp.WithServerName with a port. Without the port, otelhttp copies server.port from the
//     Host header, and each port in a Host header is a new time series.
//   - A limit on the length of span attribute values, and a limit on the spans in one export. The
//     SDK has no limit on values by default: a User-Agent of 60 KB makes a span of 60 KB. A
//     collector refuses an export above 4 MiB, together with the spans of all other clients.
//
// The SDK reads these limits from OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT and
// OTEL_BSP_MAX_EXPORT_BATCH_SIZE, or from code:
//
//	limits := sdktrace.NewSpanLimits()
//	limits.AttributeValueLengthLimit = 512 // characters
//	traces := sdktrace.NewTracerProvider(sdktrace.WithRawSpanLimits(limits),
//		sdktrace.WithBatcher(exporter, sdktrace.WithMaxExportBatchSize(128)))
//
// # Security properties
//
// The Middleware does not verify credentials that arrive in plaintext from another machine. It
// ignores forwarding headers unless the peer is a trusted proxy. It keeps no password. An unknown
// user gets the same status, headers, body and work as a wrong password. There are no sessions, no
// tokens and no login page.
package otelauth
