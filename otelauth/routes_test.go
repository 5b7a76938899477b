// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }

// wiring is one combination of a Middleware, a router and otelhttp.
type wiring struct {
	name   string
	cfg    otelauth.Config
	build  func(s *service) http.Handler // the handler inside of otelhttp
	method string
	target string
	route  string // of a denial and of a success
	span   string // name of the server span; "": from route
}

func wirings() []wiring {
	inside := http.NewServeMux()
	inside.HandleFunc("GET /orders/{id}", ok)
	inside.HandleFunc("POST orders.example/upload/{path...}", ok)
	inside.HandleFunc("/any", ok)

	nested := http.NewServeMux()
	api := http.NewServeMux()
	api.HandleFunc("GET /v1/orders/{id}", ok)
	nested.Handle("/v1/", api)
	stripped := http.NewServeMux()
	stripped.Handle("/api/", http.StripPrefix("/api", api))

	byPrefix := otelauth.RouteFunc(func(r *http.Request) string {
		if strings.HasPrefix(r.URL.Path, "/orders/") {
			return "/orders/{id}"
		}
		return ""
	})
	within := func(h http.Handler) func(*service) http.Handler {
		return func(s *service) http.Handler { return s.mw.Wrap(h) }
	}
	return []wiring{
		{name: "mux inside", cfg: otelauth.Config{Routes: inside}, build: within(inside), target: "/orders/7", route: "/orders/{id}"},
		{
			name: "pattern with method and host", cfg: otelauth.Config{Routes: inside}, build: within(inside),
			method: "POST", target: "http://orders.example/upload/a/b", route: "/upload/{path...}",
		},
		{name: "pattern without method", cfg: otelauth.Config{Routes: inside}, build: within(inside), target: "/any", route: "/any"},
		{
			name: "mux outside", target: "/orders/7", route: "/orders/{id}",
			build: func(s *service) http.Handler {
				mux := http.NewServeMux()
				mux.Handle("GET /orders/{id}", s.mw.Wrap(http.HandlerFunc(ok)))
				return mux
			},
		},
		{
			name: "mux outside and inside", cfg: otelauth.Config{Routes: nested}, target: "/v1/orders/7", route: "/v1/",
			build: func(s *service) http.Handler {
				mux := http.NewServeMux()
				mux.Handle("/", s.mw.Wrap(nested))
				return mux
			},
		},
		{name: "nested mux under StripPrefix", cfg: otelauth.Config{Routes: stripped}, build: within(stripped), target: "/api/v1/orders/7", route: "/api/"},
		{
			name: "a router with a function", cfg: otelauth.Config{Routes: byPrefix}, build: within(http.HandlerFunc(ok)),
			target: "/orders/7", route: "/orders/{id}",
		},
		{
			name: "a router that knows no route", cfg: otelauth.Config{Routes: byPrefix}, build: within(http.HandlerFunc(ok)),
			target: "/elsewhere", route: "", span: "GET",
		},
		{name: "no router", build: within(http.HandlerFunc(ok)), target: "/elsewhere", route: "", span: "GET"},
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	for _, w := range wirings() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			for name, status := range map[string]int{"": 401, "alice": 200} {
				s := newService(t, w.cfg, http.HandlerFunc(ok))
				s.handler = s.otelhttp(w.build(s))
				method := w.method
				if method == "" {
					method = "GET"
				}
				if got := s.do(request(t, method, w.target, name, "wonderland")).Code; got != status {
					t.Fatalf("status %d, want %d", got, status)
				}
				got := s.last(t)
				span := s.serverSpan(t, got.TraceID)
				spanName := w.span
				if spanName == "" {
					spanName = method + " " + w.route
				}
				if w.name == "mux outside and inside" && status == 200 {
					// otelhttp reads the pattern of the innermost mux
					spanName = "GET /v1/orders/{id}"
				}
				if got.Route != w.route || span.Attribute("http.route") != w.route || span.Name != spanName {
					t.Errorf("%d: attempt of %q, span of %q named %q; want %q", status, got.Route, span.Attribute("http.route"), span.Name, w.route)
				}
				for _, p := range s.Metrics() {
					if p.Name == "http.server.request.duration" && w.name != "mux outside and inside" && p.Attributes.Text("http.route") != w.route {
						t.Errorf("%d: otelhttp counts it for %q", status, p.Attributes.Text("http.route"))
					}
					if p.Name == "auth.attempts" && p.Attributes.Text("http.route") != w.route {
						t.Errorf("%d: counted for %q", status, p.Attributes.Text("http.route"))
					}
				}
			}
		})
	}
}

// The pattern is copied to the request of otelhttp and net/http, also when the handler panics.
func TestPatternIsCopiedBack(t *testing.T) {
	t.Parallel()
	mux := ordersMux()
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("boom") })
	for _, routes := range []otelauth.Routes{nil, mux} {
		mw := newMiddleware(t, otelauth.Config{Routes: routes, Observers: []attempt.Observer{}})
		for _, target := range []string{"/orders", "/panic"} {
			r := request(t, "GET", target, "alice", "wonderland")
			func() {
				defer func() { _ = recover() }()
				mw.Wrap(mux).ServeHTTP(httptest.NewRecorder(), r)
			}()
			if r.Pattern != "GET "+target {
				t.Errorf("%s: Pattern %q", target, r.Pattern)
			}
		}
	}
}

// net/http removes the temporary files of a form, although the handler has another request. Not
// parallel: TMPDIR belongs to the process.
func TestMultipartFilesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	files := func() int {
		list, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}

	during := 0
	mux := http.NewServeMux()
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1 << 10); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		during = files()
	})
	s := newService(t, otelauth.Config{}, mux)
	srv := listen(t, s.handler)

	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("file", "big")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = part.Write(bytes.Repeat([]byte("x"), 1<<20))
	_ = form.Close()
	r, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL+"/upload", &body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.SetBasicAuth("alice", "wonderland")
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	srv.Close() // waits until net/http has finished the request
	if resp.StatusCode != 200 || during == 0 {
		t.Fatalf("status %d with %d temporary files", resp.StatusCode, during)
	}
	if n := files(); n != 0 {
		t.Errorf("%d temporary files are left", n)
	}
}

// A path parameter reaches the handler through the copied request.
func TestPathValues(t *testing.T) {
	t.Parallel()
	var got string
	inner := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.PathValue("id") })
	s := newService(t, otelauth.Config{}, http.HandlerFunc(ok))
	mux := http.NewServeMux()
	mux.Handle("GET /outside/{id}", s.mw.Wrap(inner))
	mux.ServeHTTP(httptest.NewRecorder(), request(t, "GET", "/outside/7", "alice", "wonderland"))
	if got != "7" {
		t.Errorf("mux outside: %q", got)
	}
	mux = http.NewServeMux()
	mux.Handle("GET /inside/{id}", inner)
	s.mw.Wrap(mux).ServeHTTP(httptest.NewRecorder(), request(t, "GET", "/inside/8", "alice", "wonderland"))
	if got != "8" {
		t.Errorf("mux inside: %q", got)
	}
}

// marked records which requests were marked as sensitive.
type marked struct {
	attempt.Observer
	paths []string
}

func (m *marked) Decide(_ context.Context, req *attempt.Request, _ *attempt.Result) error {
	if req.Sensitive {
		m.paths = append(m.paths, req.Path)
	}
	return nil
}

func TestSensitive(t *testing.T) {
	t.Parallel()
	m := &marked{Observer: attempt.Join()}
	mw := newMiddleware(t, otelauth.Config{Sensitive: []string{"/admin/", "POST /orders"}, Observers: []attempt.Observer{m}})
	for _, method := range []string{"GET", "POST"} {
		for _, target := range []string{"/orders", "/admin/users", "/Admin", "/administrator"} {
			mw.Authenticate(request(t, method, target, "alice", "wonderland"))
		}
	}
	equal(t, "sensitive paths", m.paths, []string{"/admin/users", "/Admin", "/orders", "/admin/users", "/Admin"})
}
