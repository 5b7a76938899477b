// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package nethttp

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/otelauth"
)

// Mixed returns a service in which only some routes need Basic Auth. signedIn reports whether a
// request has a session of the service's own login.
func Mixed(cfg otelauth.Config, signedIn func(*http.Request) bool) (http.Handler, *otelauth.Middleware, error) {
	mux := http.NewServeMux()
	mw, err := otelauth.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	onlyAdmin(mux, mw)
	besideLogin(mux, mw, signedIn)
	metrics(mux, mw)
	return otelhttp.NewHandler(mux, "orders",
		otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName("orders.example:443")), mw, nil
}

func onlyAdmin(mux *http.ServeMux, mw *otelauth.Middleware) {
	admin, orders := http.HandlerFunc(order), http.HandlerFunc(status)

	mux.Handle("GET /admin/{id}", mw.Wrap(admin))
	mux.Handle("GET /orders", orders) // no credentials
}

func besideLogin(mux *http.ServeMux, mw *otelauth.Middleware, signedIn func(*http.Request) bool) {
	account, reports := http.HandlerFunc(status), http.HandlerFunc(order)
	login := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !signedIn(r) {
				http.Error(w, "Sign in first.", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}

	basic := mw.Wrap(reports)
	mux.Handle("GET /account", login(account)) // the other login alone
	mux.HandleFunc("GET /reports/{id}", func(w http.ResponseWriter, r *http.Request) {
		if signedIn(r) { // a session or a token, as your login verifies it
			reports.ServeHTTP(w, r)
			return
		}
		basic.ServeHTTP(w, r) // Basic Auth for scripts
	})
}

func metrics(mux *http.ServeMux, mw *otelauth.Middleware) {
	mux.Handle("GET /metrics", mw.Wrap(promhttp.Handler()))
}
