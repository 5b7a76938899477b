// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net/http"
	"net/http/httptest"
)

// forget starts a backend that accepts everything and discards it. It returns its URL.
func forget(r *run) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	r.Cleanup(server.Close)
	return server.URL
}
