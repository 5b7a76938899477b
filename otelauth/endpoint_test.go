// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Config.Endpoint returns route, public, sensitive and refusal, and replaces the lists.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{
		RequestID: func(r *http.Request) string { return r.Header.Get("X-Request-Id") },
		Endpoint: func(r *http.Request) otelauth.Endpoint {
			switch r.URL.Path {
			case "/open":
				return otelauth.Endpoint{Pattern: "GET /open", Public: true}
			case "/odd":
				return otelauth.Endpoint{
					Pattern: "/", Public: true,
					Refusal: otelauth.Refusal{Status: http.StatusBadRequest, Reason: attempt.ReasonRawPath, Detail: "Odd."},
				}
			}
			return otelauth.Endpoint{Pattern: "/all/{rest...}", Sensitive: true}
		},
	}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))

	if w := s.do(request(t, "GET", "/open", "", "")); w.Code != http.StatusTeapot || s.recorded() != 0 {
		t.Errorf("public: %d, %d attempts", w.Code, s.recorded())
	}
	r := request(t, "GET", "/x", "", "")
	r.Header.Set("X-Request-Id", "id-7")
	if w := s.do(r); w.Code != http.StatusUnauthorized {
		t.Errorf("not public: %d", w.Code)
	}
	event := s.eventsNamed(semconv.EventAttempt)[0]
	equal(t, "route", event.Attribute("http.route"), "/all/{rest...}")
	equal(t, "request id", event.Attributes().Map()["http.request.header.x-request-id"], any([]string{"id-7"}))

	// A refusal is an attempt, with and without right credentials, and nothing is verified.
	for i, name := range []string{"", "alice"} {
		w := s.do(request(t, "GET", "/odd", name, "wonderland"))
		p := problemOf(t, w.Body.String())
		if w.Code != http.StatusBadRequest || p.Detail != "Odd." || w.Header().Get("WWW-Authenticate") != "" {
			t.Errorf("%q: %d %+v", name, w.Code, p)
		}
		e := s.eventsNamed(semconv.EventAttempt)[1+i]
		equal(t, "outcome", e.Attribute(semconv.KeyOutcome), "malformed")
		equal(t, "error.type", e.Attribute("error.type"), "malformed_request")
		equal(t, "reason", e.Attribute(semconv.KeyReason), "raw_path")
		equal(t, "user", e.Attribute("user.name"), "")
	}

	_, err := otelauth.New(otelauth.Config{
		Accounts: accounts(t), Public: []string{"/a"}, Endpoint: func(*http.Request) otelauth.Endpoint { return otelauth.Endpoint{} },
	})
	if err == nil || !strings.Contains(err.Error(), "Config.Endpoint") {
		t.Errorf("Endpoint beside Public: %v", err)
	}
}

// Recheck follows the store during an exchange.
func TestRecheck(t *testing.T) {
	t.Parallel()
	store := &changing{Static: accounts(t)}
	var mw *otelauth.Middleware
	check := func(r *http.Request, want bool, wantErr error) {
		t.Helper()
		user, ok, err := mw.Recheck(r.Context())
		if ok != want || !errors.Is(err, wantErr) || ok && user.Name != "root" {
			t.Errorf("%+v %v %v, want %v %v", user, ok, err, want, wantErr)
		}
	}
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		check(r, true, nil)
		store.err = errStore
		check(r, false, errStore)
		store.err = nil
		store.now = func(a *verify.Account) *verify.Account { b := *a; b.Groups = nil; return &b }
		if user, ok, _ := mw.Recheck(r.Context()); !ok || user.In("ops") {
			t.Errorf("out of the group: %+v %v", user, ok)
		}
		store.now = func(a *verify.Account) *verify.Account { b := *a; b.Disabled = true; return &b }
		check(r, false, nil)
		store.now = func(*verify.Account) *verify.Account { return nil }
		check(r, false, nil)
		store.now = func(*verify.Account) *verify.Account { panic("no such row") }
		if _, ok, err := mw.Recheck(r.Context()); ok || err == nil || strings.Contains(err.Error(), "row") {
			t.Errorf("a store that panics: %v %v", ok, err)
		}
	})
	mw = newMiddleware(t, otelauth.Config{Accounts: store})
	mw.Wrap(handler).ServeHTTP(&discard{header: http.Header{}}, request(t, "GET", "/", "root", "toor"))
	check(request(t, "GET", "/", "", ""), false, nil) // outside of a Middleware

	mw = newMiddleware(t, otelauth.Config{Verifier: instant{}})
	mw.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { check(r, false, verify.ErrNeedsPassword) })).
		ServeHTTP(&discard{header: http.Header{}}, request(t, "GET", "/", "root", "toor"))
}

// changing is a store whose accounts change while they are used by one goroutine.
type changing struct {
	*verify.Static
	now func(*verify.Account) *verify.Account
	err error
}

func (c *changing) Lookup(_ context.Context, name string) (*verify.Account, error) {
	if c.err != nil {
		return nil, c.err
	}
	a, err := c.Static.Lookup(context.Background(), name)
	if c.now != nil && a != nil {
		a = c.now(a)
	}
	return a, err
}

// A 2xx of a forward-auth handler is answered elsewhere; its denials are answers.
func TestAnsweredElsewhere(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{
		Endpoint: func(r *http.Request) otelauth.Endpoint {
			return otelauth.Endpoint{Pattern: "/", AnsweredElsewhere: r.URL.Path != "/here"}
		},
	}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/denied" {
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	for i, tt := range []struct {
		path, name        string
		status, elsewhere any
	}{
		{"/pass", "alice", nil, true},
		{"/denied", "alice", int64(403), nil},
		{"/missing", "", int64(401), nil},
		{"/here", "alice", int64(200), nil},
	} {
		s.do(request(t, "GET", tt.path, tt.name, "wonderland"))
		m := s.eventsNamed(semconv.EventAttempt)[i].Attributes().Map()
		equal(t, tt.path+": status", m["http.response.status_code"], tt.status)
		equal(t, tt.path+": elsewhere", m[semconv.KeyResponseElsewhere], tt.elsewhere)
	}
}
