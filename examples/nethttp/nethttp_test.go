// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package nethttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/examples/nethttp"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// accounts returns alice:wonderland and, in the group ops, root:toor. Their hashes are too cheap
// for production.
func accounts() *verify.Static {
	return &verify.Static{
		Hashes: map[string]string{
			"alice": "$2y$04$FVgOJywTEsOUz6qdH.3yXe/a7MWHHYqDSzq2IkPP6k0vZAY14DlCS",
			"root":  "$2y$04$P4w7drGp/Ven9SZvciVIDO6VFs6CFuUmr5cCgKxA.oGPw6q4m4wU.",
		},
		Groups: map[string][]string{"ops": {"root"}},
	}
}

func ExampleInside() {
	handler, _, err := nethttp.Inside(otelauth.Config{Realm: "orders", Accounts: accounts()})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, path := range []string{"/status", "/orders/7", "/admin"} {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = "127.0.0.1:40000"
		if path != "/status" {
			r.SetBasicAuth("alice", "wonderland")
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(path, w.Code)
	}
	// Output:
	// /status 200
	// /orders/7 200
	// /admin 403
}

func ExampleOutside() {
	handler, _, err := nethttp.Outside(otelauth.Config{Realm: "orders", Accounts: accounts()})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("GET", "/orders/7", nil)
	r.RemoteAddr = "127.0.0.1:40000"
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Basic realm="orders", charset="UTF-8"
}

// TestRecorded checks that both ways record right and wrong credentials for the endpoint.
func TestRecorded(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]func(otelauth.Config) (http.Handler, *otelauth.Middleware, error){
		"inside": nethttp.Inside, "outside": nethttp.Outside,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rec := otelauthtest.NewRecorder(t)
			handler := must(t, build, rec)
			for _, password := range []string{"wonderland", "looking-glass"} {
				r := request(t, "GET", "/orders/7?token=jabberwocky")
				r.SetBasicAuth("alice", password)
				handler.ServeHTTP(httptest.NewRecorder(), r)
			}
			type recorded struct {
				Outcome, Route, Path, User string
				Status                     int
			}
			var got []recorded
			for _, a := range rec.Attempts() {
				got = append(got, recorded{a.Outcome.String(), a.Route, a.Path, a.UserName, a.Status})
			}
			want := []recorded{
				{"success", "/orders/{id}", "/orders/7", "alice", 200},
				{"failure", "/orders/{id}", "/orders/7", "alice", 401},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("attempts (-want +got):\n%s", diff)
			}
			otelauthtest.NoSecrets(t, rec, "wonderland", "looking-glass", "jabberwocky")
		})
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	handler := must(t, nethttp.Inside, rec)
	r := request(t, "OPTIONS", "/orders/7")
	r.Header.Set("Origin", "https://shop.example")
	r.Header.Set("Access-Control-Request-Method", "GET")
	r.Header.Set("Access-Control-Request-Headers", "authorization")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != "https://shop.example" {
		t.Errorf("preflight: %d %v", w.Code, w.Header())
	}
	if n := rec.Sum("auth.attempts"); n != 0 {
		t.Errorf("a preflight is not an attempt, but %v were counted", n)
	}
	w = httptest.NewRecorder()
	handler.ServeHTTP(w, request(t, "GET", "/orders/7"))
	if w.Code != 401 {
		t.Errorf("GET beside a public OPTIONS: %d, want 401", w.Code)
	}
}

func TestErrorPage(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	w := httptest.NewRecorder()
	must(t, nethttp.Inside, rec).ServeHTTP(w, request(t, "GET", "/orders/7"))
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") == "" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	attempts := rec.Attempts()
	if len(attempts) != 1 || !strings.Contains(w.Body.String(), attempts[0].TraceID.String()) {
		t.Errorf("the page does not quote the trace id of %+v:\n%s", attempts, w.Body)
	}
}

func TestUnknownEndpointIsClosed(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	must(t, nethttp.Inside, otelauthtest.NewRecorder(t)).ServeHTTP(w, request(t, "GET", "/forgotten"))
	if w.Code != 401 {
		t.Errorf("status %d, want 401", w.Code)
	}
}

func must(t *testing.T, build func(otelauth.Config) (http.Handler, *otelauth.Middleware, error), rec *otelauthtest.Recorder) http.Handler {
	t.Helper()
	h, mw, err := build(otelauth.Config{
		Realm: "orders", Accounts: accounts(),
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mw.Close() })
	return h
}

func request(t *testing.T, method, target string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	r.RemoteAddr = "127.0.0.1:40000"
	return r
}

// TestMixed: some routes need Basic Auth, others a session, and others nothing.
func TestMixed(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	handler := must(t, func(cfg otelauth.Config) (http.Handler, *otelauth.Middleware, error) {
		return nethttp.Mixed(cfg, func(r *http.Request) bool {
			_, err := r.Cookie("session")
			return err == nil
		})
	}, rec)
	var attempts int
	for _, tc := range []struct {
		path, password string
		session        bool
		status         int
		attempt        bool
	}{
		{"/orders", "", false, 200, false},
		{"/admin/users", "", false, 401, true},
		{"/admin/users", "looking-glass", false, 401, true},
		{"/admin/users", "wonderland", false, 200, true},
		{"/account", "", false, 401, false},
		{"/account", "wonderland", false, 401, false},
		{"/account", "", true, 200, false},
		{"/reports/7", "", true, 200, false},
		{"/reports/7", "wonderland", false, 200, true},
		{"/reports/7", "", false, 401, true},
		{"/metrics", "", false, 401, true},
		{"/metrics", "wonderland", false, 200, true},
	} {
		r := request(t, "GET", tc.path)
		if tc.password != "" {
			r.SetBasicAuth("alice", tc.password)
		}
		if tc.session {
			r.AddCookie(&http.Cookie{Name: "session", Value: "s"})
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != tc.status {
			t.Errorf("%s with the password %q, session %t: %d, want %d", tc.path, tc.password, tc.session, w.Code, tc.status)
		}
		if tc.attempt {
			attempts++
		}
		if tc.path == "/metrics" && w.Code == 200 && !strings.Contains(w.Body.String(), "go_goroutines") {
			t.Error("/metrics holds no metrics")
		}
	}
	r := request(t, "GET", "/reports/7")
	r.Header.Set("Authorization", "Bearer jabberwocky")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if attempts++; w.Code != http.StatusUnauthorized {
		t.Errorf("a token got %d", w.Code)
	}
	if got := rec.Attempts(); len(got) != attempts {
		t.Errorf("%d attempts are recorded, want %d", len(got), attempts)
	} else if got[0].Route != "/admin/{id}" {
		t.Errorf("the endpoint is %q", got[0].Route)
	}
}
