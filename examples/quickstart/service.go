// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

// newService returns the handler of the service on addr and a function that ends it. It uses the
// global providers: set them first, and shut them down after end. record is the trail; nil: none.
// op observes the attempts.
func newService(addr string, record attempt.Observer, op *operator.Operator) (handler http.Handler, end func() error, err error) {
	users, err := openAccounts()
	if err != nil {
		return nil, nil, err
	}
	mux := newMux()
	page, err := newPage(op)
	if err != nil {
		return nil, nil, err
	}
	mux.Handle(consolePath, page)

	// The three lines. WithServerName prevents that a Host header creates a time series of
	// otelhttp.
	mw, err := otelauth.New(otelauth.Config{
		Realm: "quickstart", Accounts: users, Routes: mux, Public: []string{"GET /{$}"}, Trail: record,
		// What the operator's page shows.
		Additional: []attempt.Observer{op}, Detect: detect.Config{OnEpisode: op.Detection},
	})
	if err != nil {
		return nil, nil, err
	}
	op.Attach(mw)
	handler = otelhttp.NewHandler(mw.Wrap(mux), "quickstart", otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName(addr))
	return handler, mw.Close, nil
}

func newMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "This page is public. Try: curl -u alice:wonderland …/orders")
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
		// The handler decides about permissions. otelauth records its 403.
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
