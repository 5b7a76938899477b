// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package problem_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/internal/problem"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status          int
		detail, traceID string
		want            string
	}{
		"with a trace": {
			403, `The "account" may not.`, "0af7651916cd43dd8448eb211c80319c",
			`{"title":"Forbidden","status":403,"detail":"The \"account\" may not.","trace_id":"0af7651916cd43dd8448eb211c80319c"}` + "\n",
		},
		"without a trace": {
			503, "Try again later.", "",
			`{"title":"Service Unavailable","status":503,"detail":"Try again later."}` + "\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			problem.Write(w, tc.status, tc.detail, tc.traceID)
			res := w.Result()
			if res.StatusCode != tc.status {
				t.Errorf("status %d, want %d", res.StatusCode, tc.status)
			}
			for field, want := range map[string]string{"Content-Type": problem.MediaType, "Cache-Control": "no-store"} {
				if got := res.Header[http.CanonicalHeaderKey(field)]; len(got) != 1 || got[0] != want {
					t.Errorf("%s %q, want %q", field, got, want)
				}
			}
			if got := w.Body.String(); got != tc.want {
				t.Errorf("body %s, want %s", got, tc.want)
			}
		})
	}
}
