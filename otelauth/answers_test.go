// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

const challenge = `Basic realm="restricted", charset="UTF-8"`

// denial is one kind of request that the Middleware denies.
type denial struct {
	name      string
	cfg       func(*otelauth.Config)
	request   func(*http.Request)
	observers bool // cfg.Observers are appended to those of the recorder

	status    int
	retry     string
	challenge bool
	outcome   attempt.Outcome
	errorType attempt.ErrorType
	reason    attempt.Reason
}

func authorization(value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", value) }
}

func basic(name, pass string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(name, pass) }
}

func token(raw string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(raw)) }

func fromPlaintext(credentials func(*http.Request)) func(*http.Request) {
	return func(r *http.Request) {
		r.RemoteAddr = "192.0.2.7:50000"
		credentials(r)
	}
}

func denials() []denial {
	malformed := func(name, value string, reason attempt.Reason) denial {
		return denial{
			name: "malformed: " + name, request: authorization(value), status: 400, outcome: attempt.Malformed,
			errorType: attempt.MalformedCredentials, reason: reason,
		}
	}
	wrong := func(name, user, pass string, reason attempt.Reason, cfg func(*otelauth.Config)) denial {
		return denial{
			name: name, cfg: cfg, request: basic(user, pass), status: 401, challenge: true,
			outcome: attempt.Failure, errorType: attempt.InvalidCredentials, reason: reason,
		}
	}
	some := func(c *otelauth.Config) { c.Accounts = closedAccounts{c.Accounts.(*verify.Static)} }
	return []denial{
		{name: "missing", request: func(*http.Request) {}, status: 401, challenge: true, outcome: attempt.Missing},
		{
			name: "another scheme", request: authorization("Bearer abc.def"), status: 401, challenge: true,
			outcome: attempt.Missing, errorType: attempt.UnsupportedScheme,
		},
		malformed("two fields", "", attempt.ReasonDuplicateHeader),
		malformed("comma-joined", "Basic YTpi, Basic YTpi", attempt.ReasonMultipleSchemes),
		malformed("nothing", "Basic", attempt.ReasonEmptyCredentials),
		malformed("base64", "Basic !!!!", attempt.ReasonInvalidBase64),
		malformed("non-canonical base64", "Basic YTpiYh==", attempt.ReasonInvalidBase64),
		malformed("no colon", token("alice"), attempt.ReasonNoColon),
		malformed("control character", token("alice\x00:x"), attempt.ReasonControlCharacter),
		malformed("too long", "Basic "+strings.Repeat("A", 9000), attempt.ReasonHeaderTooLong),
		wrong("wrong password", "alice", "looking-glass", attempt.ReasonWrongPassword, nil),
		wrong("unknown user", "mallory", "looking-glass", attempt.ReasonUnknownUser, nil),
		wrong("disabled", "alice", "wonderland", attempt.ReasonAccountDisabled, some),
		wrong("expired", "bob", "builder", attempt.ReasonCredentialsExpired, some),
		wrong("over-long password", "alice", strings.Repeat("p", 73), attempt.ReasonPasswordTooLong, nil),
		{
			name: "plaintext without credentials", request: fromPlaintext(func(*http.Request) {}), status: 403,
			outcome: attempt.Missing, errorType: attempt.InsecureTransport, reason: attempt.ReasonPlaintextRefused,
		},
		{
			name: "plaintext with credentials", request: fromPlaintext(basic("alice", "wonderland")), status: 403,
			outcome: attempt.Failure, errorType: attempt.InsecureTransport, reason: attempt.ReasonPlaintextRefused,
		},
		{
			name: "throttled",
			cfg: func(c *otelauth.Config) {
				c.Throttle = scripted{decision: throttle.Decision{Verdict: throttle.Refused, RetryAfter: 90*time.Second + 1}}
			},
			request: basic("alice", "wonderland"), status: 429, retry: "91",
			outcome: attempt.Throttled, errorType: attempt.RateLimited, reason: attempt.ReasonBudgetEmpty,
		},
		{
			name: "throttled, the time unknown", cfg: func(c *otelauth.Config) { c.Throttle = scripted{} },
			request: basic("alice", "wonderland"), status: 429, retry: "1",
			outcome: attempt.Throttled, errorType: attempt.RateLimited, reason: attempt.ReasonBudgetEmpty,
		},
		{
			name: "throttle down", cfg: func(c *otelauth.Config) { c.Throttle = scripted{err: errors.New("redis: gone")} },
			request: basic("alice", "wonderland"), status: 503, retry: "1",
			outcome: attempt.Error, errorType: attempt.AccountsUnavailable, reason: attempt.ReasonVerifierFailed,
		},
		{
			name: "store down", cfg: func(c *otelauth.Config) { c.Accounts = down{c.Accounts.(*verify.Static)} },
			request: basic("alice", "wonderland"), status: 503, retry: "1",
			outcome: attempt.Error, errorType: attempt.AccountsUnavailable, reason: attempt.ReasonVerifierFailed,
		},
		{
			name: "required trail full", cfg: func(c *otelauth.Config) { c.Observers = []attempt.Observer{fullTrail{}} },
			observers: true, request: basic("alice", "wonderland"), status: 503, retry: "1",
			outcome: attempt.Error, errorType: attempt.TrailUnavailable,
		},
	}
}

// service returns a service and a request that it denies.
func (d *denial) service(t *testing.T, cfg otelauth.Config) (*service, *http.Request) {
	t.Helper()
	cfg.Accounts = accounts(t)
	if d.cfg != nil {
		d.cfg(&cfg)
	}
	var s *service
	if d.observers {
		// Observers replace the providers of Config, so the observers of the recorder are used.
		rec := otelauthtest.NewRecorder(t)
		cfg.Observers = append([]attempt.Observer{rec.Observers("")}, cfg.Observers...)
		s = newService(t, cfg, nil)
		s.Recorder = rec
		s.handler = s.otelhttp(s.mw.Wrap(ordersMux()))
	} else {
		s = newService(t, cfg, nil)
	}
	r := request(t, "GET", "/orders", "", "")
	d.request(r)
	if d.name == "malformed: two fields" {
		r.Header["Authorization"] = []string{token("alice:wonderland"), token("alice:wonderland")}
	}
	return s, r
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	for _, d := range denials() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s, r := d.service(t, otelauth.Config{})
			w := s.do(r)

			if w.Code != d.status {
				t.Errorf("status %d, want %d", w.Code, d.status)
			}
			want := http.Header{"Cache-Control": {"no-store"}, "Content-Type": {"application/problem+json"}}
			if d.challenge {
				want["Www-Authenticate"] = []string{challenge}
			}
			if d.retry != "" {
				want["Retry-After"] = []string{d.retry}
			}
			equal(t, "headers", w.Result().Header, want)

			p := problemOf(t, w.Body.String())
			if p.Status != d.status || p.Title != http.StatusText(d.status) || p.Detail == "" {
				t.Errorf("problem %+v", p)
			}
			got := s.last(t)
			if p.TraceID != got.TraceID.String() || p.TraceID != s.serverSpan(t, got.TraceID).SpanContext.TraceID().String() {
				t.Errorf("trace id %q of the answer, %v recorded", p.TraceID, got.TraceID)
			}
			if got.Outcome != d.outcome || got.ErrorType != d.errorType || got.Reason != d.reason || got.Status != d.status {
				t.Errorf("recorded %v %v %q %d, want %v %v %q %d",
					got.Outcome, got.ErrorType, got.Reason, got.Status, d.outcome, d.errorType, d.reason, d.status)
			}
			for _, secret := range []string{string(d.reason), "alice", "mallory", "wonderland", "refused:", "trail:", "redis", "Config."} {
				if secret != "" && strings.Contains(dump(t, w), secret) {
					t.Errorf("the answer contains %q: %s", secret, dump(t, w))
				}
			}
		})
	}
}

func dump(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	raw, err := httputil.DumpResponse(w.Result(), true)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// Without a span the answer has no trace id.
func TestAnswerWithoutTrace(t *testing.T) {
	t.Parallel()
	mw := newMiddleware(t, otelauth.Config{Observers: []attempt.Observer{}})
	w := httptest.NewRecorder()
	mw.Wrap(ordersMux()).ServeHTTP(w, request(t, "GET", "/orders", "", ""))
	if p := problemOf(t, w.Body.String()); p.TraceID != "" || strings.Contains(w.Body.String(), "trace_id") {
		t.Errorf("body %s", w.Body)
	}
}

// Without otelhttp the answer has the trace id of the auth span.
func TestAnswerQuotesTheAuthSpan(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, nil)
	w := httptest.NewRecorder()
	s.mw.Wrap(ordersMux()).ServeHTTP(w, request(t, "GET", "/orders", "", ""))
	if p := problemOf(t, w.Body.String()); p.TraceID != s.last(t).TraceID.String() || len(s.ByTrace(s.last(t).TraceID).Spans) != 1 {
		t.Errorf("trace id %q, %v recorded", p.TraceID, s.last(t).TraceID)
	}
}

func TestAnswerOverloaded(t *testing.T) {
	t.Parallel()
	v := busy{release: make(chan struct{})}
	gate := verify.NewGate(verify.Limits{Slots: 1, Queued: 1})
	s := newService(t, otelauth.Config{Verifier: v, Gate: gate}, nil)
	var others sync.WaitGroup
	var answered atomic.Bool
	for i, name := range []string{"alice", "bob"} { // one is verified, one waits
		others.Go(func() {
			s.do(request(t, "GET", "/orders", name, "right"))
			answered.Store(true)
		})
		for running, queued := gate.Load(); running != 1 || queued != i; running, queued = gate.Load() {
			if answered.Load() {
				t.Fatal("answered without a call of the Verifier")
			}
			runtime.Gosched()
		}
	}
	w := s.do(request(t, "GET", "/orders", "root", "right"))
	got := s.last(t)
	close(v.release)
	others.Wait()
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("Www-Authenticate") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if got.Outcome != attempt.Error || got.ErrorType != attempt.Overloaded || got.Reason != attempt.ReasonQueueFull {
		t.Errorf("recorded %+v", got)
	}
	if n := s.Sum("auth.password.verify.rejected"); n != 1 {
		t.Errorf("auth.password.verify.rejected = %v", n)
	}
}

func TestRealm(t *testing.T) {
	t.Parallel()
	for realm, want := range map[string]string{
		"":           challenge,
		"orders":     `Basic realm="orders", charset="UTF-8"`,
		`say "hi" \`: `Basic realm="say \"hi\" \\", charset="UTF-8"`,
	} {
		s := newService(t, otelauth.Config{Realm: realm}, nil)
		if got := s.do(request(t, "GET", "/orders", "", "")).Header()["Www-Authenticate"]; len(got) != 1 || got[0] != want {
			t.Errorf("realm %q: %q, want %q", realm, got, want)
		}
	}
}

func TestAnswerToHEADHasNoBody(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, nil)
	addr := listen(t, s.handler).Listener.Addr().String()
	get, body := exchangeRaw(t, "tcp", addr, "GET /orders HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	head, none := exchangeRaw(t, "tcp", addr, "HEAD /orders HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if body == "" || none != "" {
		t.Errorf("GET has the body %q, HEAD %q", body, none)
	}
	for _, h := range []http.Header{get.Header, head.Header} {
		h.Del("Date")
		h.Del("Content-Length")
	}
	equal(t, "headers of HEAD", head.Header, get.Header)
}

// Deny writes the page but cannot change the status and the security fields.
func TestDenyKeepsTheHead(t *testing.T) {
	t.Parallel()
	for _, d := range denials() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			var got otelauth.Denial
			s, r := d.service(t, otelauth.Config{Deny: func(w http.ResponseWriter, _ *http.Request, den otelauth.Denial) {
				got = den
				h := w.Header()
				h.Set("Www-Authenticate", "Negotiate")
				h["www-authenticate"] = []string{"Negotiate"}
				h.Set("Cache-Control", "public, max-age=3600")
				h.Set("Retry-After", "0")
				h.Set("Content-Type", "text/plain")
				h.Set("X-Page", "ours")
				w.WriteHeader(http.StatusOK)
				w.WriteHeader(http.StatusTeapot)
				_, _ = w.Write([]byte("page"))
			}})
			w := s.do(r)
			want := http.Header{"Cache-Control": {"no-store"}, "Content-Type": {"text/plain"}, "X-Page": {"ours"}}
			if d.challenge {
				want["Www-Authenticate"] = []string{challenge}
			}
			if d.retry != "" {
				want["Retry-After"] = []string{d.retry}
			}
			if w.Code != d.status || w.Body.String() != "page" {
				t.Errorf("%d %q, want %d", w.Code, w.Body, d.status)
			}
			equal(t, "headers", w.Result().Header, want)
			if got.Status != d.status || got.Detail == "" || got.TraceID != s.last(t).TraceID.String() || (got.RetryAfter > 0) != (d.retry != "") {
				t.Errorf("Deny was called with %+v", got)
			}
		})
	}
}

func TestDenyThatWritesNothing(t *testing.T) {
	t.Parallel()
	for name, deny := range map[string]func(http.ResponseWriter){
		"nothing":      func(http.ResponseWriter) {},
		"only a body":  func(w http.ResponseWriter) { _, _ = w.Write([]byte("page")) },
		"hints first":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints) },
		"a controller": func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
	} {
		s := newService(t, otelauth.Config{Deny: func(w http.ResponseWriter, _ *http.Request, _ otelauth.Denial) { deny(w) }}, nil)
		if w := s.do(request(t, "GET", "/orders", "", "")); w.Code != 401 || w.Header().Get("Www-Authenticate") != challenge {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}

// When Deny panics, the request is still denied and the attempt is recorded.
func TestDenyThatPanics(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{Deny: func(http.ResponseWriter, *http.Request, otelauth.Denial) { panic("template") }}, nil)
	func() {
		defer func() {
			if p := recover(); p != "template" {
				t.Errorf("recovered %v", p)
			}
		}()
		s.do(request(t, "GET", "/orders", "alice", "looking-glass"))
	}()
	if got := s.last(t); got.Outcome != attempt.Failure || got.Status != 401 || len(s.ByTrace(got.TraceID).Spans) != 3 {
		t.Errorf("recorded %+v", got)
	}
}

var traceIDs = regexp.MustCompile(`"trace_id":"[0-9a-f]{32}"|Date: [^\r]*`)

// The bytes of a refusal do not depend on its reason, over a real connection, at the first try and
// at a repeat.
func TestRefusalsAreIndistinguishable(t *testing.T) {
	t.Parallel()
	cfg := otelauth.Config{Accounts: closedAccounts{accounts(t)}}
	s := newService(t, cfg, nil)
	srv := listen(t, s.handler)
	var want string
	for range 2 {
		for name, pass := range map[string]string{
			"mallory": "looking-glass",          // unknown
			"root":    "looking-glass",          // wrong
			"alice":   "wonderland",             // right, but disabled
			"bob":     "builder",                // right, but expired
			"ali\xe7": "looking-glass",          // a name in ISO-8859-1
			"eve":     strings.Repeat("p", 100), // too long
			"":        "looking-glass",          // no name
		} {
			resp, body := exchangeRaw(t, "tcp", srv.Listener.Addr().String(), "GET /orders HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+
				"Authorization: "+token(name+":"+pass)+"\r\n\r\n")
			raw, err := httputil.DumpResponse(resp, false)
			if err != nil {
				t.Fatal(err)
			}
			got := traceIDs.ReplaceAllString(string(raw)+body, "")
			if got == string(raw)+body {
				t.Fatalf("no trace id in %q", got)
			}
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%q is answered %q, another %q", name, got, want)
			}
		}
	}
	if n := len(s.Attempts()); n != 14 {
		t.Errorf("%d attempts", n)
	}
}
