// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// The endpoints come from a list and from the access log. A finding that is known is accepted for
// a time, and the report is kept as JSON.
func ExampleNew() {
	endpoints, err := probe.ReadList(strings.NewReader("GET /orders/\n"), "endpoints.txt")
	if err != nil {
		fmt.Println(err)
		return
	}
	seen, err := probe.ReadEvents(strings.NewReader(`{"http.request.method": "GET", "url.path": "/export", "http.response.status_code": 200}`+"\n"), "access.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	site := http.NewServeMux()
	site.HandleFunc("GET /orders/", func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "alice" || password != "correct horse" {
			w.Header().Set("WWW-Authenticate", `Basic realm="shop"`)
			http.Error(w, "an account is required", http.StatusUnauthorized)
		}
	})
	site.HandleFunc("GET /export", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "all customers: Ada Lovelace, Alan Turing, Grace Hopper")
	})
	prober, err := probe.New(probe.Config{
		Handler: site, Endpoints: append(endpoints, seen...), Rate: -1,
		Identities: []probe.Identity{{Username: "alice", Password: "correct horse"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(len(prober.Canaries()) > 0, "passwords that no log may hold") // before the run
	report, err := prober.Run(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Worst(), len(report.Findings))
	known := report.Findings[0]
	report.Accept([]probe.Acceptance{{ID: known.ID, Reason: "removed next week", Expires: time.Now().AddDate(0, 0, 7)}})
	report.Sort()

	text, err := json.Marshal(report)
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := probe.ParseReport(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(again.Run == report.Run, len(probe.Rules()) >= len(again.Findings), len(probe.Probes()) > 0)
	// Output:
	// true passwords that no log may hold
	// critical 1
	// true true true
}
