// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// signals is what a service emits to which everything has happened that can happen: the ground that the README's
// tables are held against.
type signals struct {
	metrics    map[string]metric
	attributes map[string][]string // where each attribute was seen: "server span", "auth span", "hash span", "metric", "event"
	events     map[string][]string // the severities of each event
}

type metric struct {
	kind, unit string
	attributes []string
}

// refuses is a throttle whose budgets are empty.
type refuses struct{ throttle.DangerouslyNone }

func (refuses) Spend(context.Context, throttle.Guess) (throttle.Decision, error) {
	return throttle.Decision{Verdict: throttle.Refused}, nil
}

// down is a verifier that cannot be reached.
type down struct{}

func (down) Verify(context.Context, string, credential.Secret) (*verify.Account, error) {
	return nil, errors.New("no route to the directory")
}

// blocked is a verifier that takes its time.
type blocked struct{ entered, leave chan struct{} }

func (b *blocked) Verify(context.Context, string, credential.Secret) (*verify.Account, error) {
	close(b.entered)
	<-b.leave
	return nil, nil
}

// collect makes everything happen.
func collect(t *testing.T) signals {
	t.Helper()
	rec := otelauthtest.NewRecorder(t)
	hash, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte("wonderland"), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users.htpasswd")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("alice:" + hash + "\n")
	users, err := htpasswd.Open(htpasswd.Config{Path: path, Unwatched: true})
	if err != nil {
		t.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /admin", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	service := func(cfg otelauth.Config) http.Handler {
		t.Helper()
		cfg.Routes, cfg.Public = mux, []string{"GET /admin"}
		cfg.TracerProvider, cfg.MeterProvider, cfg.LoggerProvider = rec.TracerProvider(), rec.MeterProvider(), rec.LoggerProvider()
		mw, err := otelauth.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = mw.Close() })
		protected := mw.Wrap(mux)
		// Not otelhttp, whose own attributes would hide ours.
		tracer := rec.TracerProvider().Tracer("server")
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, span := tracer.Start(r.Context(), "server")
			defer span.End()
			protected.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	send := func(h http.Handler, path, authorization string, change func(*http.Request) *http.Request) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.RemoteAddr = "127.0.0.1:40000"
		r.Header.Set("User-Agent", "test")
		if name, pass, ok := strings.Cut(authorization, ":"); ok {
			r.SetBasicAuth(name, pass)
		} else if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if change != nil {
			r = change(r)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	fromOutside := func(r *http.Request) *http.Request {
		r.RemoteAddr = "192.0.2.1:40000"
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		return r
	}
	h := service(otelauth.Config{Accounts: users})
	send(h, "/orders/7", "alice:wonderland", nil)
	send(h, "/orders/7", "alice:wonderland", nil)
	send(h, "/orders/7", "alice:looking-glass", nil)
	send(h, "/orders/7", "mallory:looking-glass", nil)
	send(h, "/orders/7", "", nil)
	send(h, "/orders/7", "Bearer x", nil)
	send(h, "/orders/7", "Basic !", nil)
	send(h, "/orders/7", "alice:wonderland", fromOutside)
	send(h, "/admin", "alice:wonderland", nil)
	send(h, "/admin", "", nil)
	send(service(otelauth.Config{Accounts: users, Throttle: refuses{}}), "/orders/7", "alice:looking-glass", nil)
	send(service(otelauth.Config{Verifier: down{}}), "/orders/7", "alice:wonderland", nil)
	busy := &blocked{entered: make(chan struct{}), leave: make(chan struct{})}
	full := service(otelauth.Config{Verifier: busy, Gate: verify.NewGate(verify.Limits{Slots: 1, MaxWait: 1})})
	done := make(chan struct{})
	go func() {
		defer close(done)
		send(full, "/orders/7", "alice:wonderland", nil)
	}()
	<-busy.entered
	send(full, "/orders/7", "alice:looking-glass", nil)
	close(busy.leave)
	<-done
	if err := users.Reload(); err != nil {
		t.Fatal(err)
	}
	write("alice\n")
	if err := users.Reload(); err == nil {
		t.Fatal("a broken file was taken")
	}
	return read(rec)
}

func read(rec *otelauthtest.Recorder) signals {
	s := signals{metrics: map[string]metric{}, attributes: map[string][]string{}, events: map[string][]string{}}
	seen := func(where string, attrs otelauthtest.Attributes) {
		for _, kv := range attrs {
			s.attributes[string(kv.Key)] = add(s.attributes[string(kv.Key)], where)
		}
	}
	for _, span := range rec.Spans() {
		where := map[string]string{"server": "server span", "authenticate basic": "auth span", "verify password": "hash span"}[span.Name]
		seen(cmp.Or(where, span.Name), span.Attributes)
	}
	for _, e := range rec.Events() {
		s.events[e.Name()] = add(s.events[e.Name()], e.Severity().String())
		seen("event", e.Attributes())
	}
	for _, p := range rec.Metrics() {
		m := s.metrics[p.Name]
		m.kind, m.unit = p.Kind, p.Unit
		for _, kv := range p.Attributes {
			m.attributes = add(m.attributes, string(kv.Key))
		}
		s.metrics[p.Name] = m
		seen("metric", p.Attributes)
	}
	return s
}

// add inserts v into a sorted list that has each value once.
func add(list []string, v string) []string {
	i, found := slices.BinarySearch(list, v)
	if found {
		return list
	}
	return slices.Insert(list, i, v)
}
