// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/examples/shop/customers"
	"github.com/otelauth/otelauth-go/examples/shop/otlpview"
	"github.com/otelauth/otelauth-go/examples/traffic/load"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
)

// TestStory checks that the denial is one trace with the spans, events and exemplars of three
// services. All of it comes from exported OTLP, which holds no secret.
func TestStory(t *testing.T) {
	t.Parallel()
	s := start(t)
	played, err := play(t.Context(), s.shop, s.from(t, proxyAddr.String()))
	if err != nil {
		t.Fatal(err)
	}
	if played.honest[200]+played.honest[201]+played.honest[404]+played.honest[401] != honestVisits || played.guesses[200] != 1 || played.guesses[401] < 20 {
		t.Errorf("honest %v, guesses %v", played.honest, played.guesses)
	}

	// Spans form a tree by their parents.
	id := played.denial.ID
	byID := make(map[trace.SpanID]otlpview.Span)
	for _, span := range played.denial.Spans {
		byID[span.ID] = span
	}
	path := func(s otlpview.Span) string {
		names := []string{s.Service + ": " + s.Name}
		for s.Parent.IsValid() {
			parent, ok := byID[s.Parent]
			if !ok {
				return "an orphan: " + s.Name
			}
			if s = parent; s.Kind != trace.SpanKindInternal {
				names = append([]string{s.Service + ": " + s.Name}, names...)
			}
		}
		return strings.Join(names, " < ")
	}
	var paths []string
	for _, span := range played.denial.Spans {
		if span.TraceID != id {
			t.Errorf("a span of %s", span.TraceID)
		}
		paths = append(paths, path(span))
	}
	slices.Sort(paths)
	front := "storefront: POST /returns/{order}"
	middle := front + " < storefront: HTTP POST < orders: POST /customers/{customer}/orders/{order}/return"
	back := middle + " < orders: HTTP POST < inventory: POST /stock/{item}/returns"
	want := []string{
		front, front + " < storefront: HTTP POST", front + " < storefront: authenticate basic",
		middle, middle + " < orders: HTTP POST", middle + " < orders: authenticate basic",
		back, back + " < inventory: authenticate basic", back + " < inventory: verify password",
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}

	// Events, in the order of the calls.
	var events []string
	for _, e := range played.denial.Events {
		a := e.Attributes
		events = append(events, strings.Join([]string{e.Service, e.Name, a["auth.outcome"], a["http.response.status_code"], a["user.name"], a["client.address"], a["auth.reason"]}, " "))
		if e.TraceID != id || byID[e.SpanID].Kind != trace.SpanKindServer || byID[e.SpanID].Service != e.Service {
			t.Errorf("%s: the event does not carry the id of its server span", e.Service)
		}
	}
	if diff := cmp.Diff([]string{
		"storefront auth.attempt success 502 victor 198.51.100.66 ",
		"orders auth.attempt success 502 storefront 127.0.0.2 ",
		"inventory auth.attempt failure 401 returns-desk 127.0.0.3 account_disabled",
	}, events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}

	// Each service has exemplars.
	series := make(map[string]string)
	for _, e := range played.denial.Exemplars {
		if e.TraceID != id {
			t.Errorf("an exemplar of %s", e.TraceID)
		}
		if e.Metric == "auth.attempts" {
			series[e.Service] = e.Attributes["auth.outcome"] + " " + e.Attributes["http.route"]
		}
	}
	if diff := cmp.Diff(map[string]string{
		"storefront": "success /returns/{order}",
		"orders":     "success /customers/{customer}/orders/{order}/return",
		"inventory":  "failure /stock/{item}/returns",
	}, series); diff != "" {
		t.Errorf("exemplars of auth.attempts (-want +got):\n%s", diff)
	}

	// Detections, and the same hash in two services.
	rules := make(map[string]bool)
	for _, d := range played.detections {
		rules[d.Service+" "+d.Attributes["security_rule.name"]] = true
	}
	for _, rule := range []string{"storefront password_spray", "inventory unusable_account"} {
		if !rules[rule] {
			t.Errorf("%s was not detected: %v", rule, slices.Sorted(maps.Keys(rules)))
		}
	}
	if len(played.names) == 0 || played.names[0].Service != "storefront" || played.names[0].Attributes["user.name"] != "" ||
		played.names[0].Attributes["user.hash"] != played.denial.Events[2].Attributes["user.hash"] {
		t.Errorf("the hash of %s does not link the storefront's guess to inventory: %v", returnsDesk, played.names)
	}

	var page bytes.Buffer
	played.print(&page)
	for _, expected := range []string{id.String(), "account_disabled", "password_spray", "unusable_account", "auth.attempts"} {
		if !strings.Contains(page.String(), expected) {
			t.Errorf("%q is not printed", expected)
		}
	}

	// No secret is printed or exported, until the end.
	secrets := secretsOf(t, s.dir)
	for _, c := range customers.All {
		secrets = append(secrets, c.Password)
	}
	for i := range 24 {
		guess, _ := load.Spray.Guess(i)
		secrets = append(secrets, guess.Password)
	}
	if err := s.flush(t.Context()); err != nil {
		t.Error(err)
	}
	otelauthtest.NoSecretsIn(t, "standard output", page.Bytes(), secrets...)
	signals := 0
	s.exported.each(func(path string, body []byte) {
		signals++
		otelauthtest.NoSecretsIn(t, path, body, secrets...)
	})
	if signals != 3 {
		t.Errorf("%d signals were exported", signals)
	}
}

// TestTrust checks which callers may continue a trace. An outsider's traceparent becomes a link, a
// service's own is continued. The address decides, even for a caller that knows a service's
// password.
func TestTrust(t *testing.T) {
	t.Parallel()
	s := start(t)
	storefrontPassword, _ := strings.CutPrefix(string(mustRead(t, s.dir+"/storefront/"+ordersFile)), "storefront:")
	storefrontPassword = strings.TrimSpace(storefrontPassword)
	for i, c := range []struct {
		what           string
		from           string
		service        int // of the shop
		name, password string
		forwarded      string
		client         string
		obeyed         bool
	}{
		{"an outsider at the storefront", "127.0.0.1", 0, "alice", "wonderland", "", "127.0.0.1", false},
		{"an outsider who invents an address", "127.0.0.1", 0, "alice", "wonderland", storefrontAddr.String(), "127.0.0.1", false},
		{"a customer behind the proxy", "127.0.0.5", 0, "alice", "wonderland", "192.0.2.10", "192.0.2.10", false},
		{"a customer behind the proxy who claims to be the storefront", "127.0.0.5", 0, "alice", "wonderland", "127.0.0.2", "127.0.0.2", false},
		{"the proxy itself", "127.0.0.5", 0, "alice", "wonderland", "", "127.0.0.5", false},
		{"an outsider at orders with the storefront's password", "127.0.0.1", 1, "storefront", storefrontPassword, "", "127.0.0.1", false},
		{"the storefront at orders", "127.0.0.2", 1, "storefront", storefrontPassword, "", "127.0.0.2", true},
		{"inventory at orders", "127.0.0.4", 1, "storefront", storefrontPassword, "", "127.0.0.4", false},
		{"the storefront at inventory", "127.0.0.2", 2, "storefront", storefrontPassword, "", "127.0.0.2", false},
		{"orders at inventory", "127.0.0.3", 2, "orders", "wrong", "", "127.0.0.3", true},
	} {
		theirs := fmt.Sprintf("%032x", 0xabc000+i)
		agent := fmt.Sprintf("trust/%d", i)
		path := []string{"/orders", "/offers/lamp", "/stock/lamp"}[c.service]
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.services[c.service].URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Traceparent", "00-"+theirs+"-00f067aa0ba902b7-01")
		r.Header.Set("User-Agent", agent)
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
			r.Header.Set("X-Forwarded-Proto", "https")
		}
		r.SetBasicAuth(c.name, c.password)
		resp, err := s.from(t, c.from).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()

		e := s.event(t, func(e otlpview.Event) bool { return e.Attributes["user_agent.original"] == agent })
		if err := s.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var server otlpview.Span
		for _, span := range s.view.Trace(e.TraceID).Spans {
			if span.ID == e.SpanID {
				server = span
			}
		}
		linked := len(server.Links) == 1 && server.Links[0].String() == theirs
		obeyed := server.TraceID.String() == theirs && server.Parent.String() == "00f067aa0ba902b7"
		if obeyed != c.obeyed || linked == c.obeyed || !c.obeyed && server.Parent.IsValid() {
			t.Errorf("%s: continued %v, linked %v, want continued %v", c.what, obeyed, linked, c.obeyed)
		}
		if got := e.Attributes["client.address"]; got != c.client {
			t.Errorf("%s: the client is %s, want %s", c.what, got, c.client)
		}
	}
}
