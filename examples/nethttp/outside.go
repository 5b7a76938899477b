// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package nethttp

import (
	"net/http"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/otelauth"
)

// Outside returns the handler and the Middleware for cfg. It needs no Config.Routes, because the
// outer mux has set the pattern of the request. The caller closes the Middleware.
func Outside(cfg otelauth.Config) (http.Handler, *otelauth.Middleware, error) {
	mw, err := otelauth.New(cfg)
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", status)
	mux.Handle("GET /orders/{id}", mw.Wrap(http.HandlerFunc(order)))
	return otelhttp.NewHandler(mux, "orders",
		otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName("orders.example:443")), mw, nil
}
