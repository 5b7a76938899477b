// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// exampleAccounts returns alice with the password wonderland and root with the password toor.
func exampleAccounts() *verify.Static {
	return &verify.Static{
		Hashes: map[string]string{
			"alice": "$2a$04$bbxDPdNXVRQemIgGJIUZZuvB4CtLsA8B9LA.6r.PjsMOlSiQQLIo2",
			"root":  "$2a$04$.TK7A77/QGfQJhbr8Xah4uc0IMy9yC95eSoJ1ZXMvY6fPNGXOTeJa",
		},
		Groups: map[string][]string{"ops": {"root"}},
	}
}

// call sends a request of a local client to h; name "" sends no credentials.
func call(h http.Handler, method, path, name, pass string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.RemoteAddr = "127.0.0.1:40000"
	if name != "" {
		r.SetBasicAuth(name, pass)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Three lines protect a mux and record every attempt in traces, metrics and events.
func ExampleNew() {
	users := exampleAccounts() // or *htpasswd.File
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		user, _ := otelauth.UserFromContext(r.Context())
		fmt.Fprintf(w, "the orders of %s", user.Name)
	})

	mw, err := otelauth.New(otelauth.Config{Realm: "orders", Accounts: users, Routes: mux})
	if err != nil {
		log.Fatal(err)
	}
	handler := otelhttp.NewHandler(mw.Wrap(mux), "orders", otelhttp.WithPublicEndpointFn(mw.Untrusted))

	w := call(handler, "GET", "/orders", "alice", "wonderland")
	fmt.Println(w.Code, w.Body)
	w = call(handler, "GET", "/orders", "alice", "looking-glass")
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output:
	// 200 the orders of alice
	// 401 Basic realm="orders", charset="UTF-8"
}

// Wrap is a func(http.Handler) http.Handler, which routers and chains accept.
func ExampleMiddleware_Wrap() {
	mw, err := otelauth.New(otelauth.Config{Accounts: exampleAccounts()})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "fine") })
	mux.Handle("GET /orders/{id}", mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "order "+r.PathValue("id"))
	})))

	fmt.Println(call(mux, "GET", "/healthz", "", "").Code)
	fmt.Println(call(mux, "GET", "/orders/7", "", "").Code)
	fmt.Println(call(mux, "GET", "/orders/7", "alice", "wonderland").Body)
	// Output:
	// 200
	// 401
	// order 7
}

// Authenticate is for a service with a protocol of its own.
func ExampleMiddleware_Authenticate() {
	mw, err := otelauth.New(otelauth.Config{Accounts: exampleAccounts()})
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "127.0.0.1:40000"
	r.SetBasicAuth("alice", "wonderland")

	user, res := mw.Authenticate(r)
	switch res.Outcome {
	case attempt.Success:
		fmt.Println("hello", user.Name)
	default:
		fmt.Println("refused:", res.ErrorType)
	}
	// Output: hello alice
}

// RouteFunc returns the registered pattern of another router, never the path of the request.
func ExampleRouteFunc() {
	routes := otelauth.RouteFunc(func(r *http.Request) string {
		if strings.HasPrefix(r.URL.Path, "/orders/") { // ask the router here
			return "/orders/{id}"
		}
		return ""
	})
	mw, err := otelauth.New(otelauth.Config{Accounts: exampleAccounts(), Routes: routes})
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/orders/7", nil)
	r.RemoteAddr = "127.0.0.1:40000"
	mw.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	fmt.Println(r.Pattern) // otelhttp sees it although the request was denied
	// Output: /orders/{id}
}

// RequireGroup is used inside of Wrap.
func ExampleMiddleware_RequireGroup() {
	mux := http.NewServeMux()
	mw, err := otelauth.New(otelauth.Config{Accounts: exampleAccounts(), Routes: mux})
	if err != nil {
		log.Fatal(err)
	}
	mux.Handle("GET /admin", mw.RequireGroup("ops")(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "welcome")
	})))
	handler := mw.Wrap(mux)

	fmt.Println(call(handler, "GET", "/admin", "root", "toor").Body)
	fmt.Println(call(handler, "GET", "/admin", "alice", "wonderland").Code)
	// Output:
	// welcome
	// 403
}

// A browser sends no credentials with a CORS preflight, so OPTIONS is public for every path. Other
// public endpoints are listed.
func ExampleConfig_preflight() {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) {})
	mw, err := otelauth.New(otelauth.Config{
		Accounts: exampleAccounts(),
		Routes:   mux,
		Public:   []string{"OPTIONS /", "GET /healthz"},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := mw.Wrap(mux)

	fmt.Println("preflight", call(handler, "OPTIONS", "/orders", "", "").Code)
	fmt.Println("health", call(handler, "GET", "/healthz", "", "").Code)
	fmt.Println("orders", call(handler, "GET", "/orders", "", "").Code)
	// Output:
	// preflight 200
	// health 200
	// orders 401
}

// Deny writes a page of the service. The Middleware sets the status, the challenge and the
// headers.
func ExampleConfig_deny() {
	mw, err := otelauth.New(otelauth.Config{
		Accounts: exampleAccounts(),
		Deny: func(w http.ResponseWriter, _ *http.Request, d otelauth.Denial) {
			w.Header().Set("Content-Type", "text/plain")
			fmt.Fprintln(w, "Please log in.", d.Detail)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	w := call(mw.Wrap(http.NotFoundHandler()), "GET", "/", "", "")
	fmt.Print(w.Code, " ", w.Body)
	// Output: 401 Please log in. This endpoint requires credentials.
}

// Reconfigure replaces the whole configuration, also under load.
func ExampleMiddleware_Reconfigure() {
	mw, err := otelauth.New(otelauth.Config{Accounts: exampleAccounts()})
	if err != nil {
		log.Fatal(err)
	}
	handler := mw.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	fmt.Println(call(handler, "GET", "/", "root", "toor").Code)

	users := exampleAccounts()
	delete(users.Hashes, "root")
	users.Groups = nil
	if err := mw.Reconfigure(otelauth.Config{Accounts: users}); err != nil {
		log.Fatal(err) // the previous configuration is still used
	}
	fmt.Println(call(handler, "GET", "/", "root", "toor").Code)
	// Output:
	// 200
	// 401
}

// Matches finds the name of a user.hash in an event.
func ExampleIdentityKey_Matches() {
	key := otelauth.IdentityKey{ID: "2026-01", Secret: []byte("thirty-two bytes from a CSPRNG.")}
	seen := key.Hash("mallory")
	fmt.Println(strings.HasPrefix(seen, "2026-01:"), key.Matches(seen, "mallory"), key.Matches(seen, "alice"))
	// Output: true true false
}

// A handler refuses a user by a rule of its own and says which, so that the event of the attempt
// explains the 403.
func ExampleRecordRefusal() {
	mw, err := otelauth.New(otelauth.Config{Accounts: exampleAccounts(), UserNames: otelauth.HashedNames, DisableFallback: true})
	if err != nil {
		log.Fatal(err)
	}
	handler := mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, _ := otelauth.UserFromContext(r.Context()); !user.In("ops") {
			otelauth.RecordRefusal(r.Context(), attempt.ReasonNotPermitted, "only ops may restart")
			w.WriteHeader(http.StatusForbidden)
		}
	}))
	fmt.Println(call(handler, "POST", "/restart", "alice", "wonderland").Code, call(handler, "POST", "/restart", "root", "toor").Code)
	// Output: 403 200
}

// A stream asks from time to time whether its account is still valid.
func ExampleMiddleware_Recheck() {
	mw, err := otelauth.New(otelauth.Config{Accounts: exampleAccounts(), DisableFallback: true})
	if err != nil {
		log.Fatal(err)
	}
	handler := mw.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, ok, err := mw.Recheck(r.Context())
		at, _ := otelauth.VerifiedAt(r.Context()) // of the password, not of this request
		fmt.Fprint(w, user.Name, " ", ok, " ", err, " ", at.IsZero())
	}))
	fmt.Println(call(handler, "GET", "/stream", "alice", "wonderland").Body)
	fmt.Println(mw.Budgets().Len(), "budgets") // an operator lists, explains and clears them
	// Output:
	// alice true <nil> false
	// 6 budgets
}

// Endpoint decides about each request in one place, instead of Routes, Public and Sensitive.
func ExampleEndpoint() {
	var key otelauth.IdentityKey // from a secret store
	if key.IsZero() {
		key = otelauth.IdentityKey{ID: "test", Secret: []byte("thirty-two bytes from a secret store")}
	}
	mw, err := otelauth.New(otelauth.Config{
		Accounts: exampleAccounts(), IdentityKey: key, DisableFallback: true,
		Endpoint: func(r *http.Request) otelauth.Endpoint {
			switch {
			case r.URL.Path == "/healthz":
				return otelauth.Endpoint{Pattern: "/healthz", Public: true}
			case strings.Contains(r.URL.Path, ";"):
				return otelauth.Endpoint{Pattern: "/", Refusal: otelauth.Refusal{
					Status: http.StatusBadRequest, Reason: attempt.ReasonRawPath, Detail: "The path has a semicolon.",
				}}
			}
			return otelauth.Endpoint{Pattern: "/", Sensitive: true}
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := mw.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, path := range []string{"/healthz", "/orders;x", "/orders"} {
		fmt.Println(path, call(handler, "GET", path, "", "").Code)
	}
	// Output:
	// /healthz 200
	// /orders;x 400
	// /orders 401
}

// A ServeMux is a Routes; any other router becomes one through RouteFunc.
func ExampleRoutes() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})
	for _, routes := range []otelauth.Routes{mux, otelauth.RouteFunc(func(*http.Request) string { return "/{path}" })} {
		_, pattern := routes.Handler(httptest.NewRequest("GET", "/orders/7", nil))
		fmt.Println(pattern)
	}
	// Output:
	// GET /orders/{id}
	// /{path}
}

// The credentials of a stolen laptop are hashed again, and refused once the password has changed.
func ExampleMiddleware_Forget() {
	mw, err := otelauth.New(otelauth.Config{Accounts: exampleAccounts()})
	if err != nil {
		log.Fatal(err)
	}
	var id otelauth.Identity
	id, err = mw.Identify(context.Background(), "alice")
	fmt.Println(id.Name, mw.Forget(id.Canonical), err, mw.Close())
	// Output: alice 0 <nil> <nil>
}
