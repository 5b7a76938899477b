// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/report"
)

// TestEveryEndpointNeedsAnAccount is the recipe for "go test": the whole matrix in memory, against
// the handler as the program serves it.
func TestEveryEndpointNeedsAnAccount(t *testing.T) {
	t.Parallel()
	result := otelauthtest.Coverage(t, protected(site()), []string{
		"GET /healthz public", "GET /orders", "GET /orders/7", "GET /admin groups=admin",
	}, otelauthtest.CoverageOptions{
		Identities: []probe.Identity{
			{Username: "root", Password: "toor", Groups: []string{"admin"}},
			{Username: "alice", Password: "wonderland"},
		},
	})
	keepPage(t, result)
}

// keepPage writes the page to the folder that "go test -artifacts" keeps.
func keepPage(t *testing.T, result *probe.Report) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.ArtifactDir(), "probe.html"))
	if err != nil {
		t.Fatal(err)
	}
	if err := report.WriteHTML(file, result, nil); err != nil {
		t.Error(err)
	}
	if err := file.Close(); err != nil {
		t.Error(err)
	}
}

// protected is where your program has its authentication.
func protected(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			next.ServeHTTP(w, r)
			return
		}
		user, password, _ := r.BasicAuth()
		known := len(r.Header.Values("Authorization")) == 1 && (user == "root" && password == "toor" || user == "alice" && password == "wonderland")
		switch {
		case !known:
			w.Header().Set("WWW-Authenticate", `Basic realm="site", charset="UTF-8"`)
			http.Error(w, "an account is required", http.StatusUnauthorized)
		case r.URL.Path == "/admin" && user != "root":
			http.Error(w, "the group admin is required", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
