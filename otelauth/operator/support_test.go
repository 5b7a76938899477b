// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

const (
	alicePassword = "wonderland"
	rootPassword  = "toor"
	laptop        = "192.0.2.7"
	attacker      = "198.51.100.66"
)

var hashed sync.Map

func hash(t testing.TB, pass string) string {
	t.Helper()
	if h, ok := hashed.Load(pass); ok {
		return h.(string)
	}
	h, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte(pass), nil)
	if err != nil {
		t.Fatal(err)
	}
	hashed.Store(pass, h)
	return h
}

var identityKey = otelauth.IdentityKey{ID: "k1", Secret: []byte(strings.Repeat("K", 32))}

// service is a protected service with an Operator.
type service struct {
	t        testing.TB
	op       *operator.Operator
	mw       *otelauth.Middleware
	clock    *otelauthtest.Clock
	recorder *otelauthtest.Recorder
	handler  http.Handler
	api      http.Handler // behind the Middleware, for the group ops
}

// newService returns a service on a fake clock. configure may be nil.
func newService(t testing.TB, cfg operator.Config, configure func(*otelauth.Config)) *service {
	t.Helper()
	s := &service{t: t, clock: otelauthtest.NewClock(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)), recorder: otelauthtest.NewRecorder(t)}
	cfg.Now = s.clock.Now
	var err error
	if s.op, err = operator.New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.op.Close() })
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /invoices/{id}", func(http.ResponseWriter, *http.Request) {})
	auth := otelauth.Config{
		Accounts: &verify.Static{
			Hashes: map[string]string{"alice": hash(t, alicePassword), "bob": hash(t, "builder"), "root": hash(t, rootPassword)},
			Groups: map[string][]string{"ops": {"root"}},
		},
		IdentityKey: identityKey, Routes: mux, Now: s.clock.Now, Additional: []attempt.Observer{s.op},
		Detect:         detect.Config{OnEpisode: s.op.Detection},
		TracerProvider: s.recorder.TracerProvider(), MeterProvider: s.recorder.MeterProvider(), LoggerProvider: s.recorder.LoggerProvider(),
	}
	if configure != nil {
		configure(&auth)
	}
	if s.mw, err = otelauth.New(auth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.mw.Close() })
	s.op.Attach(s.mw)
	s.handler = s.mw.Wrap(mux)
	s.api = s.mw.Wrap(s.mw.RequireGroup("ops")(s.op))
	return s
}

// log in to the service from an address, and return the status.
func (s *service) login(from, name, pass string) int {
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodGet, "https://shop.example/orders", nil)
	r.RemoteAddr = net.JoinHostPort(from, "40000")
	if name != "" {
		r.SetBasicAuth(name, pass)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Code
}

// block fails until alice is refused from the laptop.
func (s *service) block() {
	s.t.Helper()
	for i := range 20 {
		if s.login(laptop, "alice", "wrong"+string(rune('a'+i))) == http.StatusTooManyRequests {
			return
		}
	}
	s.t.Fatal("20 wrong passwords block no client")
}

// client returns a Client whose calls are those of carol.
func (s *service) client(cfg operator.ClientConfig) *operator.Client {
	s.t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.op.ServeHTTP(w, r.WithContext(operator.WithActor(r.Context(), "carol")))
	}))
	s.t.Cleanup(srv.Close)
	s.t.Cleanup(func() { _ = s.op.Close() }) // before the server waits for live views
	cfg.Address = srv.URL
	c, err := operator.NewClient(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// call sends a request as root through the Middleware.
func (s *service) call(method, target string, body any, edit func(*http.Request)) *httptest.ResponseRecorder {
	s.t.Helper()
	text := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		text = string(b)
	}
	r := httptest.NewRequestWithContext(s.t.Context(), method, "https://admin.example"+target, strings.NewReader(text))
	r.RemoteAddr = "192.0.2.200:40000"
	r.SetBasicAuth("root", rootPassword)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(operator.ActHeader, "1")
	}
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	return w
}

// refusal returns the code of a refusal.
func refusal(t testing.TB, w *httptest.ResponseRecorder) operator.Refusal {
	t.Helper()
	var f operator.Refusal
	if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return f
}

const wait = 10 * time.Second
