// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package django

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/internal/testkit"
)

// row is one request, the response, and the recorded event.
type row struct {
	what         string
	method, path string
	authorize    func(http.Header)
	header       http.Header

	status  int
	outcome string
	reason  string // "" for success; else auth.reason, or error.type where there is no finer one
	// user.name; "hash": only user.hash, because the name is not an account; "": anonymous
	user   string
	django bool // the request reached the site
}

func basic(name, password string) func(http.Header) {
	return func(h http.Header) {
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
	}
}

func field(value string) func(http.Header) {
	return func(h http.Header) { h.Set("Authorization", value) }
}

func anonymous(http.Header) {}

var rows = []row{
	{"success", "GET", "/orders/", basic("alice", "wonderland"), nil, 200, "success", "", "alice", true},
	{"success again", "GET", "/orders/", basic("alice", "wonderland"), nil, 200, "success", "", "alice", true},
	{"wrong password", "GET", "/orders/", basic("alice", "builder"), nil, 401, "failure", "wrong_password", "alice", false},
	{"unknown user", "GET", "/orders/", basic("mallory", "wonderland"), nil, 401, "failure", "unknown_user", "hash", false},
	{"inactive user", "GET", "/orders/", basic("carol", "wonderland"), nil, 401, "failure", "account_disabled", "carol", false},
	{"unusable password", "GET", "/orders/", basic("deploy", "!"), nil, 401, "failure", "account_disabled", "deploy", false},
	{"missing header", "GET", "/orders/", anonymous, nil, 401, "missing", "", "", false},
	{"bad base64", "GET", "/orders/", field("Basic YWxpY2U6d29uZGVybGFuZA=!"), nil, 400, "malformed", "invalid_base64", "", false},
	{"no colon", "GET", "/orders/", field("Basic " + base64.StdEncoding.EncodeToString([]byte("alice"))), nil, 400, "malformed", "no_colon", "", false},
	{"another scheme", "GET", "/orders/", field("Bearer abc"), nil, 401, "missing", "unsupported_scheme", "", false},
	{"authenticated, 200 of the REST framework", "GET", "/reports/", basic("alice", "wonderland"), nil, 200, "success", "", "alice", true},
	{"authenticated, 403 from a permission", "GET", "/staff/", basic("alice", "wonderland"), nil, 403, "success", "", "alice", true},
	{"the same for staff", "GET", "/staff/", basic("bob", "builder"), nil, 200, "success", "", "bob", true},
	{"a client that claims another identity", "GET", "/staff/", basic("alice", "wonderland"),
		http.Header{"Remote-User": {"bob"}, "Remote_user": {"bob"}, "X-Forwarded-User": {"bob"}}, 403, "success", "", "alice", true},
	{"the view's own 401", "GET", "/legacy/", basic("alice", "wonderland"), nil, 401, "success", "", "alice", true},
	{"the same with its key", "GET", "/legacy/", basic("alice", "wonderland"), http.Header{"X-Legacy-Key": {"opensesame"}}, 200, "success", "", "alice", true},
	{"unprotected view, anonymous", "GET", "/export/", anonymous, nil, 401, "missing", "", "", false},
	{"unprotected view, wrong password", "POST", "/export/", basic("bob", "wonderland"), nil, 401, "failure", "wrong_password", "bob", false},
	{"unprotected view, right password", "GET", "/export/", basic("alice", "wonderland"), nil, 200, "success", "", "alice", true},
	{"a path without a rule", "GET", "/nowhere/", basic("alice", "wonderland"), nil, 404, "success", "", "alice", true},
}

func (r *row) route() string {
	if r.path == "/nowhere/" {
		return "/"
	}
	return r.path
}

var passwords = regexp.MustCompile(`wonderland|builder|YWxpY2U6|opensesame`)

// The table of the README, request by request.
func TestTable(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	s := start(t)
	table := []string{
		"| request | sent | status | outcome | reason | route | user | the site's line |",
		"| --- | --- | --- | --- | --- | --- | --- | --- |",
	}
	attempts, denied := map[string]int{}, map[string]int{}
	for i, r := range rows {
		agent := fmt.Sprintf("shop-app/1.%d", i)
		header := http.Header{"User-Agent": {agent}}
		for name, values := range r.header {
			header[name] = values
		}
		r.authorize(header)
		got := s.do(t, r.method, r.path, header)
		e := s.event(t, agent)

		want := event{
			Msg: "auth.attempt", Outcome: r.outcome, User: r.user, Client: "127.0.0.1",
			Method: r.method, Route: r.route(), Path: r.path, Agent: agent, Status: r.status,
		}
		if r.user == "hash" {
			want.User = ""
		}
		recorded := e
		recorded.TraceID, recorded.UserHash, recorded.ErrorType, recorded.Reason, recorded.RequestID = "", "", "", "", nil
		if diff := cmp.Diff(want, recorded); diff != "" {
			t.Errorf("%s: the event (-want +got):\n%s", r.what, diff)
		}
		if got.status != r.status {
			t.Errorf("%s: the client gets %d, want %d", r.what, got.status, r.status)
		}
		if (r.user != "") != (e.UserHash != "") {
			t.Errorf("%s: user.hash is %q", r.what, e.UserHash)
		}
		reason := e.Reason
		if reason == "" {
			reason = e.ErrorType
		}
		if reason != r.reason {
			t.Errorf("%s: the reason is %q, want %q", r.what, reason, r.reason)
		}
		if len(e.TraceID) != 32 || len(e.RequestID) != 1 || got.header.Get("X-Request-Id") != e.RequestID[0] {
			t.Errorf("%s: trace id %q, request ids %q", r.what, e.TraceID, e.RequestID)
		}
		if !r.django && !strings.Contains(got.body, e.TraceID) {
			t.Errorf("%s: the denial has no trace id: %s", r.what, got.body)
		}

		// The site's own lines have the trace id of the event. A denied request has none.
		logged := "–"
		if r.django {
			logged = s.recorded(t, r, agent, e.TraceID)
		} else if found := s.django.Lines(e.TraceID); len(found) > 0 {
			t.Errorf("%s: reached the site: %q", r.what, found)
		}

		if got.status == http.StatusUnauthorized && !r.django && got.header.Get("WWW-Authenticate") != `Basic realm="restricted", charset="UTF-8"` {
			t.Errorf("%s: the challenge is %q", r.what, got.header.Get("WWW-Authenticate"))
		}
		attempts[r.route()+" "+r.method+" "+r.outcome+" "+e.ErrorType]++
		if r.django && (r.status == 401 || r.status == 403) {
			denied[fmt.Sprint(r.route(), " ", r.status)]++
		}
		user := r.user
		switch user {
		case "":
			user = "–"
		case "hash":
			user = "its `user.hash`"
		}
		if reason == "" {
			reason = "–"
		}
		table = append(table, fmt.Sprintf("| %s | %s %s | %d | %s | %s | %s | %s | %s |", r.what, r.method, r.path, e.Status, e.Outcome, reason, e.Route, user, logged))
	}

	// A request to a public endpoint is not an attempt, but it is counted.
	if got := s.do(t, http.MethodGet, "/health/", http.Header{"User-Agent": {"prober"}}); got.status != http.StatusOK {
		t.Errorf("/health/ is %d", got.status)
	}
	if diff := cmp.Diff(attempts, s.series(t, "auth_attempts_total", "http_route", "http_request_method", "auth_outcome", "error_type")); diff != "" {
		t.Errorf("attempts by endpoint (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(denied, s.series(t, "auth_responses_denied_total", "http_route", "http_response_status_code")); diff != "" {
		t.Errorf("401 and 403 of the site itself (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int{"/health/ 200": 1}, s.series(t, "auth_public_responses_total", "http_route", "http_response_status_code")); diff != "" {
		t.Errorf("answers of public endpoints (-want +got):\n%s", diff)
	}

	// Only the owner of the socket can bypass the gateway.
	info, err := os.Stat(filepath.Join(s.dir, "shop.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the site's socket is %v", info.Mode())
	}
	for name, log := range map[string]*testkit.Process{"gateway": s.gateway, "site": s.django} {
		for _, line := range log.Lines() {
			if passwords.MatchString(line) {
				t.Errorf("the %s's log holds a password: %s", name, line)
			}
		}
	}

	shown := strings.Join(table, "\n")
	t.Log("\n" + shown)
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), shown+"\n") {
		t.Error("README.md has another table: copy the one above")
	}
}

// A change in Django's admin takes effect within five seconds, without a restart.
func TestRevocation(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	s := start(t)
	header := func() http.Header {
		h := http.Header{"User-Agent": {"shop-app/1.0"}}
		basic("alice", "wonderland")(h)
		return h
	}
	if got := s.do(t, http.MethodGet, "/export/", header()); got.status != http.StatusOK {
		t.Fatalf("before: %d", got.status)
	}
	s.python(t, "from django.contrib.auth.models import User; User.objects.filter(username='alice').update(is_active=False)")
	s.await(t, "alice is refused", func() bool { return s.do(t, http.MethodGet, "/export/", header()).status == http.StatusUnauthorized })
	s.python(t, "from django.contrib.auth.models import User; u = User.objects.get(username='alice'); u.is_active = True; u.set_password('looking-glass'); u.save()")
	changed := func() http.Header {
		h := header()
		basic("alice", "looking-glass")(h)
		return h
	}
	s.await(t, "the new password is right", func() bool { return s.do(t, http.MethodGet, "/export/", changed()).status == http.StatusOK })
	// The attempts before the gateway read the new password were wrong guesses. On a fast machine
	// they exceed alice's limit, and then a wrong password is refused with 429. A right one passes.
	switch got := s.do(t, http.MethodGet, "/export/", header()); got.status {
	case http.StatusUnauthorized, http.StatusTooManyRequests:
	default:
		t.Errorf("the previous password gets %d", got.status)
	}
}
