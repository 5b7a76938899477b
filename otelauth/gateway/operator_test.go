// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// CloseStreams ends every kind of exchange of one account, and none of another one.
func TestCloseStreams(t *testing.T) {
	t.Parallel()
	s := newSite(t, gateway.Config{MaxStreamAge: time.Hour}, http.HandlerFunc(endless))
	ends := s.stream(t, "root", "toor")
	s.stream(t, "alice", "wonderland")
	equal(t, "streams of nobody", s.gw.CloseStreams("nobody"), 0)
	equal(t, "streams of root", s.gw.CloseStreams("root"), len(ends))
	for _, end := range ends {
		end()
	}
	equal(t, "events", len(s.named(semconv.EventGatewayStreamEnded)), len(ends))
	equal(t, "streams of root afterwards", s.gw.CloseStreams("root"), 0)
	closed := 0
	eventually(t, "the streams of alice", func() bool { closed += s.gw.CloseStreams("alice"); return closed == len(ends) })
}

// The operator's handler is for one group, and its attempts are recorded under a route of their
// own.
func TestOperatorHandler(t *testing.T) {
	t.Parallel()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _ := otelauth.UserFromContext(r.Context())
		_, _ = io.WriteString(w, r.URL.Path+" "+user.Name)
	})
	s := newSite(t, gateway.Config{Operator: h, OperatorGroup: "ops"}, http.HandlerFunc(endless))
	admin := s.gw.Admin()
	call := func(name, pass string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1/-/operator/v1/status", nil)
		r.RemoteAddr = "127.0.0.1:40000"
		if name != "" {
			r.SetBasicAuth(name, pass)
		}
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, r)
		return w
	}
	equal(t, "without credentials", call("", "").Code, http.StatusUnauthorized)
	equal(t, "outside of the group", call("alice", "wonderland").Code, http.StatusForbidden)
	w := call("root", "toor")
	equal(t, "a member", w.Code, http.StatusOK)
	equal(t, "the answer", w.Body.String(), "/v1/status root")
	all := s.attempts()
	equal(t, "attempts", len(all), 3)
	for _, e := range all {
		equal(t, "the route", e.Attribute("http.route"), "/-/operator/")
	}
	if err := s.gw.Reconfigure(s.own(t, gateway.Config{Upstream: s.upstream})); err != nil {
		t.Fatal(err)
	}
	equal(t, "after it was removed", call("root", "toor").Code, http.StatusNotFound)
}

func TestOperatorNeedsAGroup(t *testing.T) {
	t.Parallel()
	for _, cfg := range []gateway.Config{{Operator: http.NotFoundHandler()}, {OperatorGroup: "ops"}} {
		cfg.Upstream, cfg.Auth.Accounts = "http://127.0.0.1:1", accounts(t)
		var problem *gateway.ConfigError
		if err := gateway.Check(cfg); !errors.As(err, &problem) || problem.Field != "OperatorGroup" {
			t.Errorf("%v", err)
		}
	}
}
