// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

// TestCoverage shows an endpoint that serves callers without credentials, and one that no
// authenticated caller has used for a day, until both are closed.
func TestCoverage(t *testing.T) {
	t.Parallel()
	var cfg otelauth.Config
	s := newService(t, operator.Config{}, func(c *otelauth.Config) {
		c.Routes, c.Public, c.Registered = nil, []string{"GET /u/{id}"}, []string{"GET /orders", "GET /invoices/{id}"}
		cfg = *c
	})
	inner := http.NewServeMux()
	for _, pattern := range []string{"GET /u/me", "GET /orders", "GET /invoices/{id}"} {
		inner.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
	}
	// The Middleware cannot know the routes of a plain function.
	s.handler = s.mw.Wrap(http.HandlerFunc(inner.ServeHTTP))
	c := s.client(operator.ClientConfig{})
	want := func(healthy bool, registered string, gaps ...string) {
		t.Helper()
		st, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := []string{}
		for _, g := range st.Coverage.Gaps {
			got = append(got, g.Finding+" "+g.Method+" "+g.Route)
		}
		if fmt.Sprint(got) != fmt.Sprint(gaps) || fmt.Sprint(st.Coverage.Authenticated, " of ", st.Coverage.Registered) != registered || st.Healthy != healthy {
			t.Errorf("the status has the gaps %q, %+v, problems %+v", got, st.Coverage, st.Problems)
		}
	}
	want(true, "0 of 2")
	s.login(laptop, "alice", alicePassword)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop.example/u/me", nil)
	s.handler.ServeHTTP(httptest.NewRecorder(), r)
	want(false, "1 of 2", "anonymous_access GET /u/me")
	s.clock.Advance(25 * time.Hour)
	want(false, "1 of 2", "anonymous_access GET /u/me", "never_authenticated GET /invoices/{id}")

	cfg.Public = append(cfg.Public, "GET /u/me")
	cfg.Registered = cfg.Registered[:1]
	if err := s.mw.Reconfigure(cfg); err != nil {
		t.Fatal(err)
	}
	want(true, "1 of 1")
}
