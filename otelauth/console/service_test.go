// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package console_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/internal/testkit/cheaphash"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/console"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

const traceLink = "https://backend.example/trace/{trace_id}"

// hostile is the name of an account that tries to be markup and to change the direction of text.
const hostile = "<img src=x onerror=alert(1)>\u202egnp.exe"

// service is a service with the page at /console/, and accounts alice, bob and root; root and eve
// are operators.
type service struct {
	t      testing.TB
	url    string // of the service
	server *httptest.Server
	op     *operator.Operator
	client *http.Client
}

// options change a service.
type options struct {
	address  string // "" means any
	attempts int    // in memory
	readOnly bool
	now      func() time.Time // nil: time.Now
}

func start(t testing.TB, o options) *service {
	t.Helper()
	users := &verify.Static{
		Hashes: map[string]string{"alice": cheaphash.Of(t, "wonderland"), "bob": cheaphash.Of(t, "builder"), "root": cheaphash.Of(t, "toor"), "eve": cheaphash.Of(t, "adam"), hostile: cheaphash.Of(t, "x")},
		Groups: map[string][]string{"ops": {"root", "eve"}},
	}
	for i := range 24 {
		users.Hashes[fmt.Sprintf("user%02d", i)] = cheaphash.Of(t, "secret")
	}
	op, err := operator.New(operator.Config{Acts: !o.readOnly, Attempts: o.attempts, Now: o.now})
	if err != nil {
		t.Fatal(err)
	}
	page, err := console.New(console.Config{API: op, TraceLink: traceLink})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }
	for _, pattern := range []string{"GET /orders", "GET /orders/{id}", "POST /orders", "GET /admin"} {
		mux.HandleFunc(pattern, ok)
	}
	rec := otelauthtest.NewRecorder(t)
	mw, err := otelauth.New(otelauth.Config{
		Realm: "test", Accounts: users, Routes: mux, Registered: []string{"GET /orders", "GET /admin"}, Now: o.now, CacheTTL: time.Hour, Additional: []attempt.Observer{op}, Detect: detect.Config{OnEpisode: op.Detection},
		IdentityKey:    otelauth.IdentityKey{ID: "k1", Secret: []byte("0123456789abcdef0123456789abcdef")},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, DangerouslyAllowPlaintextFrom: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")},
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	op.Attach(mw)
	mux.Handle("/console/", mw.RequireGroup("ops")(http.StripPrefix("/console", page)))
	// What the browser and the service take for the least that a page can be.
	mux.Handle("/empty/", mw.RequireGroup("ops")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<!doctype html><title>empty</title><link rel=\"icon\" href=\"data:,\"><p>Hello")
	})))
	s := &service{t: t, op: op, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
	s.server = httptest.NewUnstartedServer(otelhttp.NewHandler(mw.Wrap(mux), "test", otelhttp.WithTracerProvider(rec.TracerProvider()), otelhttp.WithMeterProvider(rec.MeterProvider())))
	if o.address != "" {
		_ = s.server.Listener.Close()
		if s.server.Listener, err = new(net.ListenConfig).Listen(t.Context(), "tcp", o.address); err != nil {
			t.Fatal(err)
		}
	}
	s.server.Start()
	s.url = s.server.URL
	t.Cleanup(func() { s.stop(); _ = mw.Close() })
	return s
}

// stop ends the process as far as a browser can see.
func (s *service) stop() {
	_ = s.op.Close()
	s.server.CloseClientConnections()
	s.server.Close()
	s.client.CloseIdleConnections()
}

// page returns the address of the page for an operator.
func (s *service) page(user, pass string) string {
	return strings.Replace(s.url, "http://", "http://"+user+":"+pass+"@", 1) + "/console/"
}

// try sends one request with credentials from an address and returns the status. user may have
// any characters.
func (s *service) try(from, method, path, user, pass string) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(s.t.Context()), method, s.url+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", from)
	if user != "" {
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+pass)))
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// guess sends n wrong passwords for a name from one address.
func (s *service) guess(from, user string, n int) {
	s.t.Helper()
	for i := range n {
		s.try(from, http.MethodGet, "/orders", user, fmt.Sprintf("%s-%d", from, i))
	}
}

// spray tries one wrong password on many accounts: an episode of high severity.
func (s *service) spray(from string) {
	s.t.Helper()
	for i := range 24 {
		s.try(from, http.MethodGet, "/admin", fmt.Sprintf("user%02d", i), "Winter2026!")
	}
}

// traffic is what a service sees on a normal day.
func (s *service) traffic() {
	s.t.Helper()
	for i := range 60 {
		s.try("192.0.2.10", http.MethodGet, "/orders/7", "alice", "wonderland")
		s.try("192.0.2.11", http.MethodGet, "/orders", "bob", "builder")
		if i%10 == 0 {
			s.try("192.0.2.12", http.MethodGet, "/orders", "", "")
			s.try("192.0.2.12", http.MethodPost, "/orders", "bob", "builder")
		}
	}
	s.try("192.0.2.10", http.MethodGet, "/orders/7", "alice", "wonderlamd")
}

// hostileEpisode reports an episode all of whose texts try to be markup.
func (s *service) hostileEpisode() {
	count := []detect.Count[string]{{Value: hostile, Attempts: 3}}
	s.op.Detection(detect.Detection{
		Rule: detect.Rules()[0], Episode: 0xff, Time: time.Now(), First: time.Now(), Last: time.Now(), Attempts: 3,
		Accounts: []string{hostile}, AccountCount: 1, Routes: count, UserAgents: count, Origins: []string{"<b>origin</b>"},
		Advice: detect.Advice{Threshold: hostile, Confidence: "low", Why: hostile, FalsePositives: hostile, NextStep: hostile, Command: hostile, Runbook: "javascript:alert(1)"},
	})
}
