// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package gorilla puts otelauth around a gorilla/mux router.
package gorilla

import (
	"io"
	"net/http"

	"github.com/gorilla/mux"

	"github.com/otelauth/otelauth-go/otelauth"
)

// Routes finds the endpoints of a gorilla/mux router.
func Routes(router *mux.Router) otelauth.RouteFunc {
	return func(r *http.Request) string {
		var match mux.RouteMatch
		if !router.Match(r, &match) || match.Route == nil {
			return ""
		}
		pattern, err := match.Route.GetPathTemplate()
		if err != nil {
			return "" // a route without a path, for example by host
		}
		return pattern
	}
}

// New returns the service without otelhttp.
func New(cfg otelauth.Config) (http.Handler, *otelauth.Middleware, error) {
	router := mux.NewRouter()
	cfg.Routes = Routes(router)
	mw, err := otelauth.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	router.HandleFunc("/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		user, _ := otelauth.UserFromContext(r.Context())
		_, _ = io.WriteString(w, user.Name)
	}).Methods(http.MethodGet)
	router.HandleFunc("/admin", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	return mw.Wrap(router), mw, nil
}
