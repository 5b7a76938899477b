// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/console"
	"github.com/otelauth/otelauth-go/otelauth/operator"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// mountConsole mounts the operator's page as docs/console.md shows.
func mountConsole(mux *http.ServeMux, mw *otelauth.Middleware, op *operator.Operator) error {
	page, err := console.New(console.Config{API: op})
	if err != nil {
		return err
	}
	mux.Handle("/console/", mw.RequireGroup("ops")(http.StripPrefix("/console", page)))
	return nil
}

func TestDocsConsole(t *testing.T) {
	t.Parallel()
	op, err := operator.New(operator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	users := &verify.Static{Hashes: map[string]string{"alice": wonderland}, Groups: map[string][]string{"ops": {"alice"}}}
	mw, err := otelauth.New(otelauth.Config{Accounts: users, DisableFallback: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mw.Close() })
	op.Attach(mw)
	mux := http.NewServeMux()
	if err := mountConsole(mux, mw, op); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"/console/": "<title>otelauth</title>", "/console/v1/status": `"actor":"alice"`} {
		r := httptest.NewRequest(http.MethodGet, "https://shop.example"+path, http.NoBody)
		r.SetBasicAuth("alice", "wonderland")
		w := httptest.NewRecorder()
		mw.Wrap(mux).ServeHTTP(w, r)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: status %d, %q", path, w.Code, w.Body.String())
		}
	}
}
