// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package operator_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/operator"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// TestGuards refuses what must not act, and says why.
func TestGuards(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{Acts: true}, nil)
	unblock := operator.ActRequest{Verb: operator.VerbClear, Account: "alice", Reason: "test"}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for name, tc := range map[string]struct {
		method, target string
		body           any
		edit           func(*http.Request)
		status         int
		code           string
	}{
		"an act":                   {"POST", "/v1/acts", unblock, nil, 200, ""},
		"a page of this origin":    {"POST", "/v1/acts", unblock, header("Sec-Fetch-Site", "same-origin"), 200, ""},
		"a page of another origin": {"POST", "/v1/acts", unblock, header("Sec-Fetch-Site", "cross-site"), 403, operator.CodeForeignOrigin},
		"a page of a sibling":      {"POST", "/v1/acts", unblock, header("Sec-Fetch-Site", "same-site"), 403, operator.CodeForeignOrigin},
		"an old browser":           {"POST", "/v1/acts", unblock, header("Origin", "https://evil.example"), 403, operator.CodeForeignOrigin},
		"a form": {
			"POST", "/v1/acts", unblock, func(r *http.Request) { r.Header.Del(operator.ActHeader) }, 403, operator.CodeForeignOrigin,
		},
		"a read by another origin": {"GET", "/v1/status", nil, header("Sec-Fetch-Site", "cross-site"), 403, operator.CodeForeignOrigin},
		"another type":             {"POST", "/v1/acts", unblock, header("Content-Type", "text/plain"), 400, operator.CodeInvalid},
		"a stale page":             {"POST", "/v1/acts", unblock, header(operator.InstanceHeader, "0123456789abcdef"), 409, operator.CodeInstanceChanged},
		"no reason":                {"POST", "/v1/acts", operator.ActRequest{Verb: "clear", Account: "alice", Reason: " "}, nil, 400, operator.CodeInvalid},
		"a long reason": {
			"POST", "/v1/acts", operator.ActRequest{Verb: "clear", Account: "alice", Reason: strings.Repeat("x", 257)}, nil, 400, operator.CodeInvalid,
		},
		"no subject":       {"POST", "/v1/acts", operator.ActRequest{Verb: "clear", Reason: "x"}, nil, 400, operator.CodeInvalid},
		"no such verb":     {"POST", "/v1/acts", operator.ActRequest{Verb: "ban", Account: "alice", Reason: "x"}, nil, 400, operator.CodeInvalid},
		"no such account":  {"POST", "/v1/acts", operator.ActRequest{Verb: "deny", Account: "nobody", Reason: "x"}, nil, 404, operator.CodeUnknownAccount},
		"an unknown name":  {"POST", "/v1/acts", operator.ActRequest{Verb: "deny", Account: "nobody", Reason: "x", UnknownAccount: true}, nil, 200, ""},
		"not a network":    {"POST", "/v1/acts", operator.ActRequest{Verb: "deny", Network: "home", Reason: "x"}, nil, 400, operator.CodeInvalid},
		"a /16":            {"POST", "/v1/acts", operator.ActRequest{Verb: "clear", Network: "192.0.0.0/16", Reason: "x"}, nil, 400, operator.CodeInvalid},
		"a time for clear": {"POST", "/v1/acts", operator.ActRequest{Verb: "clear", Account: "alice", Reason: "x", ForSeconds: 9}, nil, 400, operator.CodeInvalid},
		"a negative time":  {"POST", "/v1/acts", operator.ActRequest{Verb: "deny", Account: "alice", Reason: "x", ForSeconds: -9}, nil, 400, operator.CodeInvalid},
		"forget a network": {"POST", "/v1/acts", operator.ActRequest{Verb: "forget", Network: laptop, Reason: "x"}, nil, 400, operator.CodeInvalid},
		"not an object":    {"POST", "/v1/acts", []int{1}, nil, 400, operator.CodeInvalid},
		"a foreign field":  {"POST", "/v1/acts", map[string]string{"verbs": "clear"}, nil, 400, operator.CodeInvalid},
		"no such act":      {"POST", "/v1/acts/x/undo", operator.UndoRequest{Reason: "x"}, nil, 404, operator.CodeNotFound},
		"no such path":     {"GET", "/v1/nothing", nil, nil, 404, operator.CodeNotFound},
		"a wrong method":   {"DELETE", "/v1/acts", nil, nil, 404, operator.CodeNotFound},
		"a misspelling":    {"GET", "/v1/attempts?acount=alice", nil, nil, 400, operator.CodeInvalid},
		"twice":            {"GET", "/v1/attempts?limit=1&limit=2", nil, nil, 400, operator.CodeInvalid},
		"a bad limit":      {"GET", "/v1/attempts?limit=0", nil, nil, 400, operator.CodeInvalid},
		"a bad time":       {"GET", "/v1/attempts?since=yesterday", nil, nil, 400, operator.CodeInvalid},
		"a bad outcome":    {"GET", "/v1/attempts?outcome=good", nil, nil, 400, operator.CodeInvalid},
		"a bad state":      {"GET", "/v1/episodes?state=old", nil, nil, 400, operator.CodeInvalid},
		"a bad network":    {"GET", "/v1/budgets?network=%zz", nil, nil, 400, operator.CodeInvalid},
		"explain nothing":  {"GET", "/v1/budgets/explain", nil, nil, 400, operator.CodeInvalid},
	} {
		w := s.call(tc.method, tc.target, tc.body, tc.edit)
		if w.Code != tc.status {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, tc.status)
		} else if tc.code != "" && refusal(t, w).Code != tc.code {
			t.Errorf("%s: %s, want the code %s", name, w.Body, tc.code)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: a cache may store the answer", name)
		}
	}
}

// TestWithoutActor refuses a handler that was mounted without authentication.
func TestWithoutActor(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{Acts: true}, nil)
	w := httptest.NewRecorder()
	s.op.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/status", nil))
	if f := refusal(t, w); w.Code != http.StatusForbidden || f.Code != operator.CodeNoActor {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestReadOnly refuses acts unless they are configured.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{}, nil)
	for _, target := range []string{"/v1/acts", "/v1/acts/1/undo"} {
		w := s.call(http.MethodPost, target, operator.ActRequest{Verb: "clear", Account: "alice", Reason: "x"}, nil)
		if f := refusal(t, w); w.Code != http.StatusForbidden || f.Code != operator.CodeActsDisabled {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}

// TestReauthenticate lets an operator act only soon after the password was hashed.
func TestReauthenticate(t *testing.T) {
	t.Parallel()
	s := newService(t, operator.Config{Acts: true}, func(c *otelauth.Config) { c.CacheTTL = time.Hour })
	act := func() *httptest.ResponseRecorder {
		return s.call(http.MethodPost, "/v1/acts", operator.ActRequest{Verb: "clear", Account: "alice", Reason: "x"}, nil)
	}
	if w := act(); w.Code != http.StatusOK {
		t.Fatalf("just verified: %d %s", w.Code, w.Body)
	}
	s.clock.Advance(6 * time.Minute)
	if w := s.call(http.MethodGet, "/v1/status", nil, nil); w.Code != http.StatusOK {
		t.Errorf("a read needs no fresh password: %d %s", w.Code, w.Body)
	}
	w := act()
	if w.Code != http.StatusUnauthorized || refusal(t, w).Code != operator.CodeReauthenticate || w.Header().Get("WWW-Authenticate") == "" {
		t.Fatalf("after 6 minutes: %d %s", w.Code, w.Body)
	}
	if w := act(); w.Code != http.StatusOK {
		t.Errorf("after the password was sent again: %d %s", w.Code, w.Body)
	}
}

// TestHostileText shows names as escapes in sentences, and as they are in JSON.
func TestHostileText(t *testing.T) {
	t.Parallel()
	const name = "<b>bo\u202eb</b>"
	s := newService(t, operator.Config{Acts: true}, func(c *otelauth.Config) {
		c.Accounts = &verify.Static{Hashes: map[string]string{name: hash(t, alicePassword), "root": hash(t, rootPassword)}, Groups: map[string][]string{"ops": {"root"}}}
	})
	c := s.client(operator.ClientConfig{})
	s.login(laptop, name, alicePassword)
	a, err := c.Attempts(t.Context(), nil)
	if err != nil || len(a.Attempts) != 1 || a.Attempts[0].Account != name {
		t.Fatalf("%v %+v", err, a.Attempts)
	}
	e, err := c.Explain(t.Context(), name, laptop)
	if err != nil || e.Account != name || !strings.Contains(e.Sentence, `<b>bo\u202eb</b>`) {
		t.Errorf("%v %q", err, e.Sentence)
	}
	r, err := c.Act(t.Context(), operator.ActRequest{Verb: operator.VerbDeny, Account: name, Reason: "x\u202ey\x1b[31m"})
	if err != nil || strings.ContainsAny(r.Sentence+r.Act.Reason, "\u202e\x1b") || r.Act.Account != name {
		t.Errorf("%v %+v", err, r)
	}
	w := s.call(http.MethodGet, "/v1/attempts", nil, nil)
	if strings.Contains(w.Body.String(), "<b>") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a browser could take the answer for a page: %s", w.Body)
	}
}
