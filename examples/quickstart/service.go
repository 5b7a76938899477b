// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/otelauth"
)

// newService returns the service that listens on addr, and what ends it. Its telemetry goes to the global providers, so they must
// have been set, and may be shut down only after end.
func newService(addr string) (handler http.Handler, end func() error, err error) {
	users, err := openAccounts()
	if err != nil {
		return nil, nil, err
	}
	mux := newMux()

	// The three lines. WithServerName: a Host header that a client makes up must not mint a time series of otelhttp.
	mw, err := otelauth.New(otelauth.Config{Realm: "quickstart", Accounts: users, Routes: mux, Public: []string{"GET /{$}"}})
	if err != nil {
		return nil, nil, err
	}
	handler = otelhttp.NewHandler(mw.Wrap(mux), "quickstart", otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName(addr))
	return handler, mw.Close, nil
}

func newMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Everybody may read this. Try: curl -u alice:wonderland …/orders")
	})
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Orders 7 and 8 belong to %s.\n", caller(r))
	})
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Order %q, shown to %s.\n", r.PathValue("id"), caller(r))
	})
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "Ordered by %s.\n", caller(r))
	})
	mux.HandleFunc("GET /admin", func(w http.ResponseWriter, r *http.Request) {
		// Who may do what is the handler's business. That it said no is told all the same.
		if caller(r) != "root" {
			http.Error(w, "This is for root.", http.StatusForbidden)
			return
		}
		fmt.Fprintln(w, "Hello, root.")
	})
	return mux
}

func caller(r *http.Request) string {
	user, _ := otelauth.UserFromContext(r.Context())
	return user.Name
}
