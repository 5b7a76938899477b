// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// hostile is text that a target may send: markup, the end of a script, links of SARIF, and
// characters that change what a reader sees.
const hostile = "</script><img src=x onerror=alert(1)>\u202egnp.exe\u2069 [x](https://evil.example) {0} ]]> \x1b[31m\x00 & \"'"

// shop is a service with flaws of several kinds.
func shop() http.Handler {
	mux := http.NewServeMux()
	content := func(w http.ResponseWriter, name string) {
		fmt.Fprintf(w, "<h1>%s</h1> Ada Lovelace, Alan Turing, Grace Hopper, Barbara Liskov: tea, coffee, sugar, milk, bread\n", name)
	}
	basic := func(next func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			user, password, _ := r.BasicAuth()
			known := map[string]string{"alice": "correct horse", "bob": "battery staple"}
			if want, ok := known[user]; !ok || want != password || len(r.Header.Values("Authorization")) != 1 {
				w.Header().Set("WWW-Authenticate", `Basic realm="shop", charset="UTF-8"`)
				http.Error(w, "an account is required", http.StatusUnauthorized)
				return
			}
			next(w, r, user)
		}
	}
	for _, path := range []string{"/orders", "/orders/{id}", "/customers", "/invoices/{id}", "/settings", "/reports/daily"} {
		mux.HandleFunc("GET "+path, basic(func(w http.ResponseWriter, r *http.Request, _ string) { content(w, r.Pattern) }))
	}
	mux.HandleFunc("GET /admin", basic(func(w http.ResponseWriter, _ *http.Request, user string) {
		if user != "alice" {
			http.Error(w, "the group admin is required", http.StatusForbidden)
			return
		}
		content(w, "admin")
	}))
	mux.HandleFunc("GET /audit", basic(func(w http.ResponseWriter, _ *http.Request, _ string) { content(w, "audit") }))
	mux.HandleFunc("GET /export", func(w http.ResponseWriter, _ *http.Request) { content(w, "export") })
	mux.HandleFunc("GET /debug", basic(func(w http.ResponseWriter, r *http.Request, _ string) {
		w.Header().Set("Cache-Control", "public, max-age=600")
		fmt.Fprintf(w, "debug: %s\n", r.Header.Get("Authorization"))
		content(w, "debug")
	}))
	mux.HandleFunc("/legacy", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			content(w, "legacy")
			return
		}
		basic(func(w http.ResponseWriter, _ *http.Request, _ string) { content(w, "legacy") })(w, r)
	})
	mux.HandleFunc("GET /internal", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Forwarded-For") != "" {
			content(w, "internal")
			return
		}
		basic(func(w http.ResponseWriter, _ *http.Request, _ string) { content(w, "internal") })(w, r)
	})
	mux.HandleFunc("GET /hostile", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Note", "<b>bold</b>")
		_, _ = io.WriteString(w, hostile+" Ada Lovelace, Alan Turing, Grace Hopper\r\nsecond line\n")
	})
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	return mux
}

// sample probes the shop and adds what the proof of telemetry would add.
func sample(t testing.TB) *probe.Report {
	t.Helper()
	admins := []string{"admins"}
	endpoints := []probe.Endpoint{
		{Path: "/orders"}, {Path: "/orders/17", Route: "/orders/{id}"}, {Path: "/customers"}, {Path: "/invoices/4711", Route: "/invoices/{id}"},
		{Path: "/settings"}, {Path: "/reports/daily"}, {Path: "/admin", Groups: admins}, {Path: "/audit", Groups: admins}, {Path: "/export"},
		{Path: "/debug"}, {Path: "/legacy"}, {Path: "/internal"}, {Path: "/hostile"}, {Path: "/health", Access: probe.Public},
		{Method: "DELETE", Path: "/orders/17", Route: "/orders/{id}"}, {Path: "/files/{name}", Skip: "the parameter name has no example"},
	}
	for i := range endpoints {
		endpoints[i].Source = fmt.Sprintf("endpoints.txt:%d", i+1)
	}
	r, err := probe.Run(t.Context(), probe.Config{
		Handler: shop(), Target: "https://shop.example", Endpoints: endpoints, Rate: -1, Throwaway: "mallory", Samples: -1, Workers: 1,
		Identities: []probe.Identity{
			{Username: "alice", Password: "correct horse", Groups: admins},
			{Username: "bob", Password: "battery staple"},
		},
		Baseline: []probe.Acceptance{
			{ID: "cache GET /debug", Reason: "the cache is private", Expires: time.Now().Add(30 * 24 * time.Hour)},
			{ID: "open GET /gone", Reason: "until the service is switched off", Expires: time.Now().Add(time.Hour)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Rows {
		for k := range r.Rows[i].Attempts {
			addEvidence(&r.Rows[i].Attempts[k], r.Rows[i].Endpoint)
		}
	}
	r.Telemetry = &probe.Telemetry{
		MedianDelay: 12 * time.Millisecond, P95Delay: 40 * time.Millisecond, MaxDelay: 90 * time.Millisecond,
		Series: []probe.Series{{Outcome: "missing", Method: "GET", Route: "/orders", Least: 9, Most: 12, Counted: 8, Verdict: "not counted"}},
	}
	return r
}

func addEvidence(a *probe.Attempt, e probe.Endpoint) {
	if a.Outcome == probe.OutcomeAny || a.Answer.Status == 0 {
		return
	}
	want := map[string]string{
		"auth.outcome": string(a.Outcome), "client.address": "192.0.2.1", "http.request.method": a.Request.Method, "http.route": e.Route,
		"http.response.status_code": fmt.Sprint(a.Answer.Status), "user.name": a.Username,
	}
	got := map[string]string{"auth.realm": "shop", "network.protocol.version": "1.1"}
	for k, v := range want {
		if v != "" {
			got[k] = v
		} else {
			delete(want, k)
		}
	}
	a.Evidence = &probe.Evidence{Verdict: "recorded", Expected: want, Arrived: []probe.Record{{Signal: "event", Name: "auth.attempt", Attributes: got}}, Delay: 11 * time.Millisecond}
	switch {
	case a.Probe == "two-wrong" && strings.HasPrefix(e.Path, "/orders"):
		a.Evidence = &probe.Evidence{Verdict: "missing", Expected: want, Problems: []string{"no event arrived of this attempt"}}
	case a.Probe == "unknown-user" && e.Path == "/customers":
		got["http.route"] = "/"
		a.Evidence.Fields = []string{"http.route"}
		a.Evidence.Verdict, a.Evidence.Problems = "wrong attribute", []string{"event: wrong attribute: http.route: want /customers, got /"}
	}
}
