// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// The gateway gives a service without authentication accounts, a public page and an area for one
// group.
func Example() {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s for %q", r.URL.Path, r.Header.Get("Remote-User"))
	}))

	// 4: an example must be quick
	hash, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte("wonderland"), nil)
	if err != nil {
		log.Fatal(err)
	}
	gw, err := gateway.New(gateway.Config{
		Upstream: site.URL,
		Auth:     otelauth.Config{Realm: "orders", Accounts: &verify.Static{Hashes: map[string]string{"alice": hash}}},
		Rules: []gateway.Rule{
			{Pattern: "GET /static/", Access: gateway.Public},
			{Pattern: "/admin/", Groups: []string{"ops"}, Sensitive: true},
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- gw.Serve(ctx, listener) }()

	get := func(path, name, pass string) {
		r, err := http.NewRequest("GET", "http://"+listener.Addr().String()+path, nil)
		if err != nil {
			log.Fatal(err)
		}
		if name != "" {
			r.SetBasicAuth(name, pass)
		}
		r.Header.Set("Remote-User", "root") // a client's own word
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode == http.StatusOK {
			fmt.Printf("%s\n", body)
		} else {
			fmt.Println(path, res.StatusCode)
		}
	}
	get("/static/logo.svg", "", "")
	get("/orders", "", "")
	get("/orders", "alice", "wonderland")
	get("/admin/", "alice", "wonderland")
	get("/x/..%2fadmin/", "alice", "wonderland")

	stop()
	if err := <-ended; err != nil { // drained
		log.Fatal(err)
	}
	if err := gw.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	site.Close()
	// Output:
	// /static/logo.svg for ""
	// /orders 401
	// /orders for "alice"
	// /admin/ 403
	// /x/..%2fadmin/ 400
}

// A deployment checks its configuration before it restarts. The error joins all problems.
func ExampleCheck() {
	cfg := gateway.Config{
		Upstream:     "ftp://127.0.0.1",
		ForwardAuth:  gateway.NoForwardAuth,
		StripHeaders: gateway.DefaultStripHeaders(),
		Auth:         otelauth.Config{Accounts: &verify.Static{Hashes: map[string]string{"alice": "$2a$04$bbxDPdNXVRQemIgGJIUZZuvB4CtLsA8B9LA.6r.PjsMOlSiQQLIo2"}}},
	}
	err := gateway.Check(cfg)
	if problem, ok := errors.AsType[*gateway.ConfigError](err); ok {
		fmt.Println(problem.Field)
	}
	fmt.Println(gateway.Defaults().IdleTimeout)
	// Output:
	// Upstream
	// 2m0s
}

// An operator reloads the configuration and looks at the budgets, and a load balancer at the
// health, without a restart.
func ExampleGateway_Reconfigure() {
	site := httptest.NewServer(http.NotFoundHandler())
	defer site.Close()
	cfg := gateway.Config{
		Upstream: site.URL,
		Auth:     otelauth.Config{Accounts: &verify.Static{Hashes: map[string]string{"alice": "$2a$04$bbxDPdNXVRQemIgGJIUZZuvB4CtLsA8B9LA.6r.PjsMOlSiQQLIo2"}}, DisableFallback: true},
	}
	gw, err := gateway.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = gw.Shutdown(context.Background()) }()
	cfg.Rules = []gateway.Rule{{Pattern: "GET /static/", Access: gateway.Public}}
	fmt.Println(gw.Reconfigure(cfg))
	fmt.Println(gw.Middleware().Budgets().Len())

	w := httptest.NewRecorder()
	gw.Admin().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/-/healthz", nil))
	fmt.Println(w.Code)
	listener, err := net.Listen("tcp", "127.0.0.1:0") // clients must not reach it
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	fmt.Println(gw.ServeAdmin(ctx, listener))
	// Output:
	// <nil>
	// 0
	// 200
	// <nil>
}
