// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/otelauth/otelauth-go/otelauth"
)

// storefront is the service that customers use. It stores nothing and calls orders.
type storefront struct{ orders *call }

func (s storefront) addRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Lamps, kettles, globes, teapots and atlases. Customers see /products/{item} and /orders.")
	})
	mux.HandleFunc("GET /products/{item}", func(w http.ResponseWriter, r *http.Request) {
		var o offer
		status, err := s.orders.do(r.Context(), "GET", "/offers/"+url.PathEscape(r.PathValue("item")), nil, &o)
		if passOn(w, status, err) {
			reply(w, http.StatusOK, o)
		}
	})
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		var theirs []order
		status, err := s.orders.do(r.Context(), "GET", "/customers/"+url.PathEscape(caller(r))+"/orders", nil, &theirs)
		if passOn(w, status, err) {
			reply(w, http.StatusOK, theirs)
		}
	})
	mux.HandleFunc("POST /checkout/{item}", func(w http.ResponseWriter, r *http.Request) {
		var o order
		status, err := s.orders.do(r.Context(), "POST", "/orders", order{Customer: caller(r), Item: r.PathValue("item")}, &o)
		if passOn(w, status, err) {
			reply(w, http.StatusCreated, o)
		}
	})
	mux.HandleFunc("POST /returns/{order}", func(w http.ResponseWriter, r *http.Request) {
		path := "/customers/" + url.PathEscape(caller(r)) + "/orders/" + url.PathEscape(r.PathValue("order")) + "/return"
		if status, err := s.orders.do(r.Context(), "POST", path, nil, nil); passOn(w, status, err) {
			w.WriteHeader(http.StatusNoContent)
		}
	})
}

func caller(r *http.Request) string {
	user, _ := otelauth.UserFromContext(r.Context())
	return user.Name
}
