// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"net/http"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
)

// A public pattern with a host opens in one spelling of the host. http.ServeMux compares hosts
// byte by byte, so that it runs the route without a host for any other spelling, and with CONNECT
// also for a host with a port.
func TestPublicHostOpensOneSpelling(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	for _, p := range []string{"docs.example/files/", "/files/", "/"} {
		mux.HandleFunc(p, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("served " + r.Pattern)) })
	}
	s := newService(t, otelauth.Config{Public: []string{"docs.example/files/"}, Routes: mux}, mux)
	addr := siteServer(t, s)
	for _, tt := range []struct {
		method, host string
		want         int
	}{
		{"GET", "docs.example", 200},
		{"GET", "docs.example:8080", 200},
		{"GET", "DOCS.example", 401},
		{"GET", "docs.example.", 401},
		{"GET", "docs.example.:80", 401},
		{"GET", "docs.example:", 401},
		{"GET", "other.example", 401},
		{"CONNECT", "docs.example:80", 401},
	} {
		resp, body := exchangeRaw(t, "tcp", addr, tt.method+" /files/x HTTP/1.1\r\nHost: "+tt.host+"\r\nConnection: close\r\n\r\n")
		if resp.StatusCode != tt.want {
			t.Errorf("%s %s: %d %q, want %d", tt.method, tt.host, resp.StatusCode, body, tt.want)
		}
	}
}
