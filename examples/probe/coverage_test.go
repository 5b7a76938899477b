// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/report"
)

// TestEveryEndpointNeedsAnAccount is the recipe for "go test": the whole matrix in memory, against
// the handler as the program serves it.
func TestEveryEndpointNeedsAnAccount(t *testing.T) {
	t.Parallel()
	result, err := probe.Run(t.Context(), probe.Config{
		Handler: protected(site()),
		Endpoints: []probe.Endpoint{
			{Path: "/healthz", Access: probe.Public},
			{Path: "/orders"},
			{Path: "/orders/7", Route: "/orders/{id}"},
			{Path: "/admin", Groups: []string{"admin"}},
		},
		Identities: []probe.Identity{
			{Username: "root", Password: "toor", Groups: []string{"admin"}},
			{Username: "alice", Password: "wonderland"},
		},
		Rate: -1, Samples: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range result.Findings {
		if f.Severity >= probe.Medium {
			t.Errorf("%s: %s: %s", f.Severity, f.Endpoint, f.Detail)
		}
	}
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
