// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package chi puts otelauth around a chi router.
package chi

import (
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/otelauth/otelauth-go/otelauth"
)

// Routes finds the endpoints of a chi router.
func Routes(router chi.Routes) otelauth.RouteFunc {
	return func(r *http.Request) string {
		return router.Find(chi.NewRouteContext(), r.Method, r.URL.Path)
	}
}

// New returns the service without otelhttp.
func New(cfg otelauth.Config) (http.Handler, *otelauth.Middleware, error) {
	router := chi.NewRouter()
	cfg.Routes = Routes(router)
	mw, err := otelauth.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	router.Get("/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		user, _ := otelauth.UserFromContext(r.Context())
		_, _ = io.WriteString(w, user.Name)
	})
	router.Get("/admin", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	return mw.Wrap(router), mw, nil
}
