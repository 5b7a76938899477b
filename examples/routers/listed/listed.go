// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package listed makes the endpoints of package probe from routers that can list their routes. Copy
// the function of your router.
//
// A route with parameters needs values, because a request has a path and not a pattern. values
// returns the path for a pattern, such as "/orders/7" for "/orders/{id}", or "" if there is none:
// then the endpoint is in the report as not tested.
package listed

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/gorilla/mux"
	echov4 "github.com/labstack/echo/v4"
	echov5 "github.com/labstack/echo/v5"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// endpoint returns the endpoint of a route.
func endpoint(method, pattern string, values func(pattern string) string) probe.Endpoint {
	e := probe.Endpoint{Method: method, Path: pattern, Route: pattern, Source: "router"}
	if strings.ContainsAny(pattern, "{}:*") {
		if e.Path = values(pattern); e.Path == "" {
			e.Path, e.Skip = pattern, "the route has a parameter without a value"
		}
	}
	return e
}

// Chi returns the endpoints of a chi router.
func Chi(r chi.Routes, values func(pattern string) string) (list []probe.Endpoint, err error) {
	err = chi.Walk(r, func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		list = append(list, endpoint(method, pattern, values))
		return nil
	})
	return list, err
}

// Gorilla returns the endpoints of a gorilla/mux router. A route without methods counts as GET.
func Gorilla(r *mux.Router, values func(pattern string) string) (list []probe.Endpoint, err error) {
	err = r.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		pattern, err := route.GetPathTemplate()
		if err != nil || route.GetHandler() == nil {
			return nil //nolint:nilerr // a route without a path or a handler is no endpoint
		}
		methods, err := route.GetMethods()
		if err != nil {
			methods = []string{http.MethodGet}
		}
		for _, method := range methods {
			list = append(list, endpoint(method, pattern, values))
		}
		return nil
	})
	return list, err
}

// Gin returns the endpoints of a gin engine.
func Gin(engine *gin.Engine, values func(pattern string) string) (list []probe.Endpoint) {
	for _, r := range engine.Routes() {
		list = append(list, endpoint(r.Method, r.Path, values))
	}
	return list
}

// EchoV4 returns the endpoints of an echo v4 server.
func EchoV4(e *echov4.Echo, values func(pattern string) string) (list []probe.Endpoint) {
	for _, r := range e.Routes() {
		list = append(list, endpoint(r.Method, r.Path, values))
	}
	return list
}

// EchoV5 returns the endpoints of an echo v5 server.
func EchoV5(e *echov5.Echo, values func(pattern string) string) (list []probe.Endpoint) {
	for _, r := range e.Router().Routes() {
		list = append(list, endpoint(r.Method, r.Path, values))
	}
	return list
}
