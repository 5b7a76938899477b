// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Complete is the program of README.md: telemetry, accounts, a protected mux and the shutdown.
//
//	go run ./otelauth/cmd/otelauth users add users.htpasswd alice
//	go run ./examples/complete
//	curl -i -u alice http://127.0.0.1:8080/orders/7
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/telemetry"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	providers := must(telemetry.Start(ctx, "orders"))
	users := must(htpasswd.Open(htpasswd.Config{Path: "users.htpasswd"}))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		user, _ := otelauth.UserFromContext(r.Context())
		fmt.Fprintf(w, "Order %q, shown to %s.\n", r.PathValue("id"), user.Name)
	})
	mw := must(otelauth.New(otelauth.Config{Realm: "orders", Accounts: users, Routes: mux}))
	listener := must(new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:8080"))
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: otelhttp.NewHandler(mw.Wrap(mux), "orders",
		otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName(listener.Addr().String()))}
	go func() { _ = server.Serve(listener) }()
	<-ctx.Done() // Ctrl-C
	end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	must(0, errors.Join(server.Shutdown(end), mw.Close(), users.Close(), providers.Shutdown(end)))
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
