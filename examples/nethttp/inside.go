// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package nethttp

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/otelauth"
)

// Inside returns the handler and the Middleware for cfg, which must set the accounts. The caller
// closes the Middleware after the last request and before it shuts down telemetry.
func Inside(cfg otelauth.Config) (http.Handler, *otelauth.Middleware, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", status)
	mux.HandleFunc("GET /orders/{id}", order)
	mux.HandleFunc("OPTIONS /", preflight)

	cfg.Routes = mux
	// A browser sends no credentials with a CORS preflight, so OPTIONS must be public. It is the
	// only method that may be public for every path.
	cfg.Public = []string{"GET /status", "OPTIONS /"}
	cfg.Deny = errorPage
	mw, err := otelauth.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	mux.Handle("GET /admin", mw.RequireGroup("ops")(http.HandlerFunc(status)))
	return otelhttp.NewHandler(mw.Wrap(mux), "orders",
		otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName("orders.example:443")), mw, nil
}

// preflight allows https://shop.example only. A service with more rules uses a CORS library here.
func preflight(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "Origin")
	if r.Header.Get("Origin") == "https://shop.example" {
		w.Header().Set("Access-Control-Allow-Origin", "https://shop.example")
		w.Header().Set("Access-Control-Allow-Methods", "GET")
		w.Header().Set("Access-Control-Allow-Headers", "Authorization")
	}
	w.WriteHeader(http.StatusNoContent)
}
