// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// mountOperator mounts the operator's API as docs/operator.md shows.
func mountOperator(mux *http.ServeMux, users *verify.Static) error {
	op, err := operator.New(operator.Config{Acts: true})
	if err != nil {
		return err
	}
	mw, err := otelauth.New(otelauth.Config{
		Accounts:   users,
		Additional: []attempt.Observer{op},
		Detect:     detect.Config{OnEpisode: op.Detection},
	})
	if err != nil {
		return err
	}
	op.Attach(mw)
	mux.Handle("/operator/", mw.Wrap(mw.RequireGroup("ops")(http.StripPrefix("/operator", op))))
	return nil
}

func TestDocsOperator(t *testing.T) {
	t.Parallel()
	users := &verify.Static{Hashes: map[string]string{"alice": wonderland}, Groups: map[string][]string{"ops": {"alice"}}}
	mux := http.NewServeMux()
	if err := mountOperator(mux, users); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "https://shop.example/operator/v1/status", http.NoBody)
	r.SetBasicAuth("alice", "wonderland")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"actor":"alice"`) {
		t.Errorf("status %d, %q", w.Code, w.Body.String())
	}
}
