// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/spans"
)

// signal is one attempt and its exact telemetry: no attribute may be missing or added.
type signal struct {
	denial

	method, target, route string // GET, /orders, /orders where empty
	repeat                bool   // the attempt is the second of its kind
	user                  string // the account; "" when there is none
	claimed               string // the name; "" when none was sent
	cache                 string
	hash                  attempt.Outcome // of the hash that ran, Error when none did
	rehash, exposed       bool
	err                   string
}

func signals() []signal {
	var all []signal
	for _, d := range denials() {
		s := signal{denial: d}
		switch name := d.name; name {
		case "wrong password", "disabled", "expired", "over-long password":
			s.user, s.cache, s.hash = "alice", "miss", attempt.Failure
			if name == "expired" {
				s.user = "bob"
			}
			s.claimed = s.user
		case "unknown user":
			s.claimed, s.cache, s.hash = "mallory", "miss", attempt.Failure
		case "plaintext with credentials":
			s.exposed = true
		case "throttled", "throttled, the time unknown":
			s.user, s.claimed, s.cache = "alice", "alice", "miss"
		case "throttle down":
			s.user, s.claimed, s.cache, s.err = "alice", "alice", "miss", "redis: gone"
		case "store down":
			s.claimed, s.err = "alice", errStore.Error()
		case "required trail full":
			s.user, s.claimed, s.cache, s.hash, s.err = "alice", "alice", "miss", attempt.Success, errTrail.Error()
		}
		all = append(all, s)
	}
	success := signal{
		denial: denial{name: "success", request: basic("alice", "wonderland"), status: 200, outcome: attempt.Success},
		user:   "alice", claimed: "alice", cache: "miss", hash: attempt.Success, rehash: true,
	}
	again := success
	again.name, again.repeat, again.cache, again.hash = "success again", true, "hit", attempt.Error
	wrongAgain := signal{
		denial: denial{
			name: "wrong again", request: basic("alice", "looking-glass"), status: 401,
			outcome: attempt.Failure, errorType: attempt.InvalidCredentials, reason: attempt.ReasonWrongPassword,
		},
		repeat: true, user: "alice", claimed: "alice", cache: "hit",
	}
	forbidden := success
	forbidden.name, forbidden.status, forbidden.target, forbidden.route = "the handler's own 403", 403, "/admin", "/admin"
	unauthorized := success
	unauthorized.name, unauthorized.status, unauthorized.target, unauthorized.route = "the handler's own 401", 401, "/again", "/again"
	parameter := success
	parameter.name, parameter.target, parameter.route = "a route with a parameter", "/orders/7?q=1", "/orders/{id}"
	unrouted := signal{
		denial: denial{name: "no such route", request: func(*http.Request) {}, status: 401, outcome: attempt.Missing},
		target: "/nowhere", route: "-",
	}
	odd := unrouted
	odd.name, odd.method, odd.target = "no such method", "BREW", "/orders"
	return append(all, success, again, wrongAgain, forbidden, unauthorized, parameter, unrouted, odd)
}

const agent = "probe/1.0"

// values returns a set of attributes without those that have no value.
func values(kv ...any) map[string]any {
	m := map[string]any{}
	for i := 0; i < len(kv); i += 2 {
		switch v := kv[i+1]; v {
		case "", int64(0), false:
		default:
			m[kv[i].(string)] = v
		}
	}
	return m
}

func (s *signal) complete() {
	if s.method == "" {
		s.method = "GET"
	}
	if s.target == "" {
		s.target, s.route = "/orders", "/orders"
	}
	if s.route == "-" {
		s.route = ""
	}
}

func TestSignals(t *testing.T) {
	t.Parallel()
	for _, s := range signals() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			s.complete()
			env, template := s.denial.service(t, otelauth.Config{})
			send := func() (status int) {
				r := request(t, s.method, s.target, "", "")
				r.Header, r.RemoteAddr = template.Header.Clone(), template.RemoteAddr
				r.Header.Set("User-Agent", agent)
				return env.do(r).Code
			}
			if s.repeat {
				send()
				env.Metrics() // later exemplars come first
			}
			start := time.Now()
			if status := send(); status != s.status {
				t.Fatalf("status %d, want %d", status, s.status)
			}
			s.check(t, env, env.ByTrace(env.last(t).TraceID), start)
		})
	}
}

// check compares all telemetry of the trace with the table of signals.
func (s *signal) check(t *testing.T, env *service, tr otelauthtest.Trace, start time.Time) {
	t.Helper()
	scheme, method := "basic", s.method
	switch {
	case s.name == "another scheme":
		scheme = "other"
	case s.outcome == attempt.Missing:
		scheme = "none"
	}
	if method == "BREW" {
		method = "_OTHER"
	}
	client, port := "127.0.0.1", int64(40000)
	if s.errorType == attempt.InsecureTransport {
		client, port = "192.0.2.7", 50000
	}
	hash := ""
	if s.claimed != "" {
		hash = testKey.Hash(s.claimed)
	}
	ran := s.hash != attempt.Error

	// The server span.
	server, auth, verify := pick(t, tr, s.hash != attempt.Error)
	ours := values("auth.outcome", s.outcome.String(), "auth.scheme", scheme, "user.name", s.user, "user.hash", hash,
		"client.address", client, "http.route", s.route)
	got := map[string]any{}
	for k, v := range otelauthtest.Attributes(server.Attributes).Map() {
		if strings.HasPrefix(k, "auth.") || strings.HasPrefix(k, "user.") || ours[k] != nil || k == "error.type" {
			got[k] = v
		}
	}
	delete(ours, "error.type") // otelhttp sets none below 500
	if s.status >= 500 {
		delete(got, "error.type")
	}
	equal(t, "server span", got, ours)
	wantName, wantStatus := "GET", codes.Unset
	if method == "_OTHER" {
		wantName = "HTTP"
	}
	if s.route != "" {
		wantName += " " + s.route
	}
	if s.status >= 500 {
		wantStatus = codes.Error // set by otelhttp
	}
	if server.Name != wantName || server.Status.Code != wantStatus {
		t.Errorf("server span %q %v, want %q %v", server.Name, server.Status, wantName, wantStatus)
	}

	// The auth span.
	denied := s.outcome != attempt.Success
	verdict := values("auth.outcome", s.outcome.String(), "auth.scheme", scheme, "user.name", s.user, "user.hash", hash,
		"client.address", client, "http.route", s.route, "http.request.method", method, "auth.cache.result", s.cache,
		"error.type", s.errorType.String(), "auth.reason", string(s.reason))
	equal(t, "auth span", otelauthtest.Attributes(auth.Attributes).Map(), verdict)
	failed := denied && s.outcome != attempt.Missing
	if (auth.Status.Code == codes.Error) != failed || auth.Status.Code == codes.Ok || auth.Status.Description != "" && !failed {
		t.Errorf("auth span has status %v", auth.Status)
	}
	if auth.Name != "authenticate basic" || auth.SpanKind != trace.SpanKindInternal ||
		auth.Parent.SpanID() != server.SpanContext.SpanID() || auth.InstrumentationScope.Name != spans.ScopeName {
		t.Errorf("auth span %q %v of %v", auth.Name, auth.SpanKind, auth.InstrumentationScope)
	}
	if ran {
		equal(t, "hash span", otelauthtest.Attributes(verify.Attributes).Map(),
			values("auth.password.scheme", "bcrypt", "auth.outcome", s.hash.String()))
		if verify.Parent.SpanID() != auth.SpanContext.SpanID() || verify.StartTime.Before(auth.StartTime) || verify.EndTime.After(auth.EndTime) {
			t.Errorf("the hash span is not inside of the auth span")
		}
	}

	// The metrics, each with an exemplar of this trace.
	want := map[string]map[string]any{
		"auth.attempts": values("auth.scheme", scheme, "auth.outcome", s.outcome.String(), "error.type", s.errorType.String(),
			"http.route", s.route, "http.request.method", method),
		"auth.attempt.duration": values("auth.scheme", scheme, "auth.outcome", s.outcome.String(), "auth.cache.result", s.cache),
	}
	if s.cache != "" {
		want["auth.cache.lookups"] = values("auth.cache.result", s.cache)
	}
	if ran {
		want["auth.password.verify.duration"] = values("auth.password.scheme", "bcrypt", "auth.outcome", s.hash.String())
	}
	if !denied && (s.status == 401 || s.status == 403) {
		want["auth.responses.denied"] = values(
			"http.route", s.route, "http.response.status_code", int64(s.status), "auth.response.denied_by", "service")
	}
	points := map[string]map[string]any{}
	for _, p := range tr.Metrics {
		if p.Scope == metrics.ScopeName {
			points[p.Name] = p.Attributes.Map()
			if id := p.Exemplars[0].SpanID(); id != auth.SpanContext.SpanID() && (id != server.SpanContext.SpanID() || p.Name != "auth.responses.denied") {
				t.Errorf("%s has an exemplar of an unexpected span", p.Name)
			}
		}
	}
	equal(t, "metrics", points, want)
	for _, p := range env.Metrics() {
		if p.Attributes.Has("auth.reason") || p.Attributes.Has("user.name") || p.Attributes.Has("user.hash") || p.Attributes.Has("client.address") {
			t.Errorf("%s has %v", p.Name, p.Attributes)
		}
		if p.Name == "http.server.request.duration" && p.Attributes.Text("http.route") != s.route {
			t.Errorf("otelhttp counts it for %q, want %q", p.Attributes.Text("http.route"), s.route)
		}
	}

	// The event.
	if len(tr.Events) != 1 {
		t.Fatalf("%d events in the trace", len(tr.Events))
	}
	e := tr.Events[0]
	path, _, _ := strings.Cut(s.target, "?")
	event := maps.Clone(verdict)
	maps.Copy(event, values("client.port", port, "network.peer.address", client, "network.peer.port", port,
		"url.path", path, "user_agent.original", agent, "http.response.status_code", int64(s.status),
		"auth.password.rehash_needed", s.rehash, "auth.credentials.exposed", s.exposed, "exception.message", s.err))
	if ran {
		event["auth.password.scheme"] = "bcrypt"
	}
	if s.name == "required trail full" {
		event["auth.password.rehash_needed"] = true // the result of the hash remains
	}
	equal(t, "event", e.Attributes().Map(), event)
	wantSeverity := log.SeverityWarn
	switch s.outcome {
	case attempt.Success:
		wantSeverity = log.SeverityInfo
	case attempt.Error:
		wantSeverity = log.SeverityError
	}
	if e.Name() != semconv.EventAttempt || e.Severity() != wantSeverity || e.SpanID() != server.SpanContext.SpanID() {
		t.Errorf("event %q, severity %v", e.Name(), e.Severity())
	}
	if at := e.Timestamp(); at.Before(start) || at.After(server.EndTime) {
		t.Errorf("the event is of %v, the request began at %v and ended at %v", at, start, server.EndTime)
	}
}

// pick returns the spans of a trace and fails if there are others.
func pick(t *testing.T, tr otelauthtest.Trace, hashed bool) (server, auth, verify otelauthtest.Span) {
	t.Helper()
	for _, s := range tr.Spans {
		switch {
		case s.SpanKind == trace.SpanKindServer:
			server = s
		case s.Name == semconv.SpanVerifyPassword:
			verify = s
		default:
			auth = s
		}
	}
	want := 2
	if hashed {
		want = 3
	}
	if len(tr.Spans) != want || server.Name == "" || auth.Name == "" || hashed && verify.Name == "" {
		t.Fatalf("spans %v", tr.Spans)
	}
	return server, auth, verify
}

// A success keeps its 200 in the event when the handler writes nothing at all.
func TestSilentHandler(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	if w := s.do(request(t, "GET", "/", "alice", "wonderland")); w.Code != 200 {
		t.Errorf("status %d", w.Code)
	}
	if got := s.last(t); got.Status != 200 || got.Outcome != attempt.Success {
		t.Errorf("recorded %+v", got)
	}
}

// An attempt outside of any trace is still recorded.
func TestSignalsWithoutServerSpan(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, nil)
	user, res := s.mw.Authenticate(request(t, "GET", "/orders", "alice", "looking-glass"))
	got := s.last(t)
	if user.Name != "" || res.Outcome != attempt.Failure || got.Reason != attempt.ReasonWrongPassword || !got.TraceID.IsValid() {
		t.Errorf("recorded %+v", got)
	}
	if e := s.ByTrace(got.TraceID).Events; len(e) != 1 || e[0].Attributes().Has("http.response.status_code") {
		t.Errorf("events %v", e)
	}
}
