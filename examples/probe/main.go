// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Probe is a service without authentication, which the recipes of this folder put behind the
// gateway and the middleware, and prove that nothing was forgotten.
//
//	go run ./examples/probe --addr 127.0.0.1:8000
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
	"time"
)

func main() {
	address := flag.String("addr", "127.0.0.1:8000", "where to listen")
	flag.Parse()
	server := &http.Server{Addr: *address, Handler: site(), ReadHeaderTimeout: 5 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// site returns the service.
func site() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, text := range map[string]string{
		"GET /healthz":     "ok\n",
		"GET /orders":      "four orders: tea, coffee, sugar, milk\n",
		"GET /orders/{id}": "one order: tea, two boxes, paid by card\n",
		"GET /admin":       "settings: colour, language, currency, opening hours\n",
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, text)
		})
	}
	return mux
}
