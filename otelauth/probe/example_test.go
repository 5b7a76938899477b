// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// A service with two endpoints. One of them was forgotten.
func Example() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "alice" || password != "correct horse" {
			w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
			http.Error(w, "an account is required", http.StatusUnauthorized)
			return
		}
		io.WriteString(w, "four orders: tea, coffee, sugar, milk")
	})
	mux.HandleFunc("GET /export", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "all customers: Ada Lovelace, Alan Turing, Grace Hopper")
	})

	report, err := probe.Run(context.Background(), probe.Config{
		Handler:    mux, // Target: "https://shop.example" probes over the network
		Endpoints:  []probe.Endpoint{{Path: "/orders"}, {Path: "/export"}},
		Identities: []probe.Identity{{Username: "alice", Password: "correct horse"}},
		Rate:       -1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range report.Findings {
		fmt.Printf("%s: %s: %s (CWE-%d)\n", f.Severity, f.Endpoint, f.Rule.Text().Title, f.Rule.Text().CWE)
	}
	// Output:
	// critical: GET /export: Answers without credentials (CWE-306)
}

func ExampleReadList() {
	list, err := probe.ReadList(strings.NewReader("GET /orders/\nGET /static/site.css public\nGET /admin groups=admin,ops\n"), "endpoints.txt")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range list {
		fmt.Println(e, e.Access, e.Groups, e.Source)
	}
	// Output:
	// GET /orders/ protected [] endpoints.txt:1
	// GET /static/site.css public [] endpoints.txt:2
	// GET /admin protected [admin ops] endpoints.txt:3
}

func ExampleReadEvents() {
	log := `{"msg":"auth.attempt","http.request.method":"GET","url.path":"/orders/4711","http.route":"/orders/{id}","http.response.status_code":200}
{"request":"GET /stock/ HTTP/1.1","status":"200"}
`
	list, err := probe.ReadEvents(strings.NewReader(log), "access.log")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range list {
		fmt.Printf("%s %q\n", e, e.Route)
	}
	// Output:
	// GET /orders/4711 "/orders/{id}"
	// GET /stock/ ""
}
