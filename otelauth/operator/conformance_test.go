// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/operator"
)

// strict returns the document that the API serves, in which no object may have further fields.
func strict(t *testing.T, s *service) *openapi3.T {
	t.Helper()
	w := s.call(http.MethodGet, "/v1/openapi.json", nil, nil)
	doc, err := openapi3.NewLoader().LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	no := false
	for _, schema := range doc.Components.Schemas {
		schema.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &no}
	}
	doc.Servers = nil
	return doc
}

// TestAnswersMatchOpenAPI compares requests and answers of every operation with the document, as
// another implementation of OpenAPI understands it.
func TestAnswersMatchOpenAPI(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{Acts: true, Describe: func(st *operator.Status) {
		st.Exporters = append(st.Exporters, operator.Exporter{Signal: "traces", Exporter: "otlp"})
		now := st.Now
		st.Upstream = &operator.Upstream{Since: &now, LastAnswer: &now, Errors: 1, LastError: "upstream_timeout"}
		st.ExportErrors = operator.ExportErrors{Count: 1, Last: &now, LastError: "x"}
		st.Configuration = append(st.Configuration, operator.Setting{Name: "users", Value: "x", Place: "--users"})
		st.ListDetection(&detect.Config{Custom: detect.Custom{
			Rules: []detect.CustomRule{{Name: "mine", Severity: detect.High}},
			Exceptions: []detect.Exception{{
				Rule: "mine", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, Accounts: []string{"alice"}, Until: now, Why: "test",
			}},
		}})
	}}, nil)
	doc := strict(t, s)
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	s.block()
	s.op.Detection(detect.Detection{
		Rule: detect.Rules()[0], Time: s.clock.Now(), First: s.clock.Now(), Last: s.clock.Now(), Accounts: []string{"alice"}, Attempts: 3,
		DistanceKm: 5, SpeedKmPerHour: 7, Route: "/orders", Folded: true, PartOf: 9, Episode: 7,
		Addresses: []detect.Count[netip.Addr]{{Value: netip.MustParseAddr(laptop), Attempts: 3}}, AddressCount: 1, Takeovers: []uint64{8},
		Routes: []detect.Count[string]{{Value: "/orders", Attempts: 3}}, UserAgents: []detect.Count[string]{{Value: "curl", Attempts: 3}}, Origins: []string{"DE"},
	})
	used := map[string]bool{}
	check := func(method, target string, body any, want int) []byte {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		again := func() *http.Request {
			r := httptest.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(text))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set(operator.ActHeader, "1")
			return r
		}
		route, parameters, err := router.FindRoute(again())
		if err != nil {
			t.Fatalf("%s %s: %v", method, target, err)
		}
		used[method+" "+route.Path] = true
		input := &openapi3filter.RequestValidationInput{Request: again(), PathParams: parameters, Route: route}
		if want < 400 {
			if err := openapi3filter.ValidateRequest(t.Context(), input); err != nil {
				t.Errorf("%s %s: the request does not match the document: %v", method, target, err)
			}
		}
		var sent any
		if method == http.MethodPost {
			sent = body
		}
		w := s.call(method, target, sent, nil)
		if w.Code != want {
			t.Errorf("%s %s: %d %s, want %d", method, target, w.Code, w.Body, want)
		}
		answer := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: input, Status: w.Code, Header: w.Header(), Body: io.NopCloser(bytes.NewReader(w.Body.Bytes())),
			Options: &openapi3filter.Options{IncludeResponseStatus: true},
		}
		if err := openapi3filter.ValidateResponse(t.Context(), answer); err != nil {
			t.Errorf("%s %s: the answer does not match the document: %v\n%s", method, target, err, w.Body)
		}
		return w.Body.Bytes()
	}
	check("GET", "/v1/budgets?limit=5&kind=pair&account=alice&network="+laptop, nil, 200)
	check("GET", "/v1/budgets/explain?account=alice&network="+laptop, nil, 200)
	var result operator.ActResult
	deny := operator.ActRequest{Verb: operator.VerbDeny, Account: "alice", Reason: "x", ForSeconds: 60}
	if err := json.Unmarshal(check("POST", "/v1/acts", deny, 200), &result); err != nil {
		t.Fatal(err)
	}
	check("GET", "/v1/budgets/explain?account=alice", nil, 200)
	check("GET", "/v1/budgets", nil, 200)
	check("POST", "/v1/acts/"+result.Act.ID+"/undo", operator.UndoRequest{Reason: "x"}, 200)
	check("POST", "/v1/acts", operator.ActRequest{Verb: operator.VerbForget, Account: "alice", Reason: "x"}, 200)
	check("POST", "/v1/acts", operator.ActRequest{Verb: operator.VerbClear, Account: "alice", Reason: "x"}, 200)
	check("POST", "/v1/acts", operator.ActRequest{Verb: "ban", Account: "alice", Reason: "x"}, 400)
	check("POST", "/v1/acts", operator.ActRequest{Verb: "deny", Account: "nobody", Reason: "x"}, 404)
	check("GET", "/v1/acts?limit=5", nil, 200)
	check("GET", "/v1/status", nil, 200)
	check("GET", "/v1/attempts?limit=5&since=1h&outcome=failure,throttled&network="+laptop, nil, 200)
	check("GET", "/v1/attempts?limit=x", nil, 400)
	check("GET", "/v1/traffic?since=1h&top=5", nil, 200)
	check("GET", "/v1/episodes?state=running&limit=5&offset=1&account=alice", nil, 200)
	check("GET", "/v1/episodes/0000000000000007", nil, 200)
	check("GET", "/v1/episodes/8", nil, 404)
	check("GET", "/v1/openapi.json", nil, 200)
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			if path != "/v1/live" && !used[method+" "+path] {
				t.Errorf("%s %s is in the document and not in this test", method, path)
			}
		}
	}
	liveMatches(t, s, doc)
}

// liveMatches compares the events of the live view with their schemas.
func liveMatches(t *testing.T, s *service, doc *openapi3.T) {
	t.Helper()
	types := map[string]string{
		operator.EventHello: "Hello", operator.EventAttempts: "LiveAttempts", operator.EventEpisode: "Episode",
		operator.EventAct: "Act", operator.EventPulse: "Pulse", operator.EventDropped: "Dropped",
	}
	url := serve(t, s.op)
	r, _ := watch(t, url, "")
	seen := map[string]bool{}
	begin := time.Now()
	for len(seen) < len(types) {
		name := until(t, r, "event: ")
		var data any
		if err := json.Unmarshal([]byte(until(t, r, "data: ")), &data); err != nil {
			t.Fatal(err)
		}
		if err := doc.Components.Schemas[types[name]].Value.VisitJSON(data); err != nil {
			t.Errorf("the event %s does not match the document: %v", name, err)
		}
		seen[name] = true
		switch name {
		case operator.EventHello:
			s.login(laptop, "bob", "builder")
			s.op.Detection(detect.Detection{Rule: detect.Rules()[0], Time: s.clock.Now()})
			s.call("POST", "/v1/acts", operator.ActRequest{Verb: "clear", Account: "bob", Reason: "x"}, nil)
		case operator.EventPulse:
			go func() { _ = s.op.Close() }()
		}
		if time.Since(begin) > wait && !testkit.Race {
			t.Fatalf("only the events %v arrived", seen)
		}
	}
	for _, op := range []string{"getLive"} {
		found := false
		for _, item := range doc.Paths.Map() {
			found = found || item.Get != nil && item.Get.OperationID == op
		}
		if !found {
			t.Errorf("the document has no operation %s", op)
		}
	}
	if names := doc.Paths.Find("/v1/live").Get.Description; !slices.ContainsFunc([]string{"hello is Hello"}, func(part string) bool { return strings.Contains(names, part) }) {
		t.Errorf("the description of the live view does not name its events: %s", names)
	}
}
