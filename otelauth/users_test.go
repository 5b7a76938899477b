// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// claims is an observer that collects claimed names.
type claims struct{ names []string }

func (*claims) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }

func (c *claims) Decide(_ context.Context, _ *attempt.Request, res *attempt.Result) error {
	c.names = append(c.names, res.ClaimedName)
	return nil
}

func (*claims) End(context.Context, *attempt.Request, *attempt.Result, *attempt.Response) {}

// With DangerouslyClaimedNames, detection gets a name that is not an account, and no signal does.
func TestClaimedNames(t *testing.T) {
	t.Parallel()
	for mode, want := range map[otelauth.UserNames]string{
		otelauth.DangerouslyClaimedNames: "administrator", otelauth.PlainNames: "", otelauth.HashedNames: "",
	} {
		var c claims
		s := newService(t, otelauth.Config{UserNames: mode, Additional: []attempt.Observer{&c}}, nil)
		s.do(request(t, "GET", "/orders", "administrator", "looking-glass"))
		s.do(request(t, "GET", "/orders", "alice", "looking-glass"))
		s.do(request(t, "GET", "/orders", "alice", "wonderland"))
		if len(c.names) != 3 || c.names[0] != want || c.names[1] != "" || c.names[2] != "" {
			t.Errorf("UserNames %d: %q", mode, c.names)
		}
		raw, err := s.OTLP()
		if err != nil || bytes.Contains(raw, []byte("administrator")) {
			t.Errorf("UserNames %d: the name is exported, %v", mode, err)
		}
	}
}

// With HashedNames no signal has a name, but the handler does.
func TestHashedNames(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{UserNames: otelauth.HashedNames}, nil)
	for range 2 {
		if w := s.do(request(t, "GET", "/orders", "alice", "wonderland")); w.Body.String() != "user=alice" {
			t.Errorf("the handler got %q", w.Body)
		}
	}
	s.do(request(t, "GET", "/orders", "alice", "looking-glass"))
	raw, err := s.OTLP()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte("alice")) {
		t.Error("the name is exported")
	}
	for _, a := range s.Attempts() {
		if a.UserName != "" || a.UserHash != testKey.Hash("alice") {
			t.Errorf("recorded %+v", a)
		}
	}
}

// A name that is not an account is never recorded: people type passwords into the name field.
func TestUnknownNamesAreNotRecorded(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{}, nil)
	const typed = "hunter2-in-the-wrong-field"
	for range 2 {
		s.do(request(t, "GET", "/orders", typed, "x"))
	}
	raw, err := s.OTLP()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(raw, []byte(typed)) || !bytes.Contains(raw, []byte(testKey.Hash(typed))) {
		t.Error("the name is exported, or its hash is not")
	}
}

func TestIdentityKey(t *testing.T) {
	t.Parallel()
	previous := otelauth.IdentityKey{ID: "2025", Secret: bytes.Repeat([]byte("f"), 32)}
	key := otelauth.IdentityKey{ID: "2026", Secret: bytes.Repeat([]byte("s"), 32), Previous: []otelauth.IdentityKey{previous}}
	alice := key.Hash("alice")
	if id, hex, _ := strings.Cut(alice, ":"); id != "2026" || len(hex) != 32 {
		t.Errorf("Hash = %q", alice)
	}
	for _, tc := range []struct {
		hash, name string
		want       bool
	}{
		{alice, "alice", true},
		{previous.Hash("alice"), "alice", true},
		{alice, "bob", false},
		{alice, "Alice", false},
		{strings.Replace(alice, "2026", "2025", 1), "alice", false},
		{previous.Hash("bob"), "alice", false},
		{"", "", false},
	} {
		if got := key.Matches(tc.hash, tc.name); got != tc.want {
			t.Errorf("Matches(%q, %q) = %v", tc.hash, tc.name, got)
		}
	}
	if previous.Matches(alice, "alice") || (otelauth.IdentityKey{}).Matches((otelauth.IdentityKey{}).Hash("alice"), "alice") {
		t.Error("the zero key matches")
	}
	if !(otelauth.IdentityKey{}).IsZero() || key.IsZero() {
		t.Error("IsZero")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, v := range []any{key, &key, otelauth.Config{IdentityKey: key}} {
			otelauthtest.NoSecretsIn(t, verb, fmt.Appendf(nil, verb, v), string(key.Secret), string(previous.Secret))
		}
	}
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("key", "key", key)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("key", "key", key)
	marshaled, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	otelauthtest.NoSecretsIn(t, "JSON and logs", append(logged.Bytes(), marshaled...), string(key.Secret), string(previous.Secret))
}

// Services with one key have equal hashes; a rotated key still finds names.
func TestIdentityKeyIsShared(t *testing.T) {
	t.Parallel()
	one, two := newService(t, otelauth.Config{}, nil), newService(t, otelauth.Config{}, nil)
	for _, s := range []*service{one, two} {
		s.do(request(t, "GET", "/orders", "mallory", "x"))
		if got := s.last(t).UserHash; got != testKey.Hash("mallory") || !testKey.Matches(got, "mallory") {
			t.Errorf("user.hash %q", got)
		}
	}
}

func TestRequireGroup(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	s := newService(t, otelauth.Config{Public: []string{"/public"}}, mux)
	mux.Handle("/ops", s.mw.RequireGroup("ops")(http.HandlerFunc(ok)))
	mux.Handle("/public", s.mw.RequireGroup("ops")(http.HandlerFunc(ok)))

	if w := s.do(request(t, "GET", "/ops", "root", "toor")); w.Code != 200 {
		t.Errorf("root: %d", w.Code)
	}
	w := s.do(request(t, "GET", "/ops", "alice", "wonderland"))
	got := s.last(t)
	p := problemOf(t, w.Body.String())
	if w.Code != 403 || p.Status != 403 || p.TraceID != got.TraceID.String() || w.Header().Get("Cache-Control") != "no-store" ||
		w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Www-Authenticate") != "" {
		t.Errorf("alice: %d %v %+v", w.Code, w.Header(), p)
	}
	if got.Outcome != attempt.Success || got.Status != 403 || got.UserName != "alice" {
		t.Errorf("recorded %+v", got)
	}
	if e := s.eventsNamed(semconv.EventAttempt); e[len(e)-1].Severity() != log.SeverityWarn ||
		e[len(e)-1].Attribute("auth.reason") != "not_permitted" || e[len(e)-1].Attribute("auth.rule") != "group ops" {
		t.Errorf("alice's event: %v %v", e[len(e)-1].Severity(), e[len(e)-1].Attributes())
	}
	route, status := attribute.String("http.route", "/ops"), attribute.Int("http.response.status_code", 403)
	if n, of := s.Sum("auth.responses.denied", route, status), s.Sum("auth.responses.denied"); n != 1 || of != 1 {
		t.Errorf("auth.responses.denied = %v of %v", n, of)
	}
	if w := s.do(request(t, "GET", "/ops", "", "")); w.Code != 401 {
		t.Errorf("no credentials: %d", w.Code)
	}
	if w := s.do(request(t, "GET", "/public", "", "")); w.Code != 403 || len(s.eventsNamed(semconv.EventPublicResponse)) != 1 {
		t.Errorf("no credentials at a public endpoint: %d", w.Code)
	}
	// With wrong credentials the caller is anonymous there, not a denied user.
	if w := s.do(request(t, "GET", "/public", "root", "x")); w.Code != 403 || s.Sum("auth.responses.denied") != 1 {
		t.Errorf("wrong credentials at a public endpoint: %d", w.Code)
	}
	// Outside of Wrap there is no user.
	r, rec := request(t, "GET", "/ops", "root", "toor"), &discardStatus{header: http.Header{}}
	mux.ServeHTTP(rec, r)
	if rec.status != 403 {
		t.Errorf("outside of Wrap: %d", rec.status)
	}
}

type discardStatus struct {
	header http.Header
	status int
}

func (d *discardStatus) Header() http.Header         { return d.header }
func (d *discardStatus) Write(b []byte) (int, error) { return len(b), nil }
func (d *discardStatus) WriteHeader(status int)      { d.status = status }

func TestUserFromContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	var user, leaked otelauth.User
	var found bool
	var value any
	var kept context.Context
	s := newService(t, otelauth.Config{Public: []string{"/public"}}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		user, found = otelauth.UserFromContext(context.WithoutCancel(r.Context()))
		value = r.Context().Value(key{})
		kept = r.Context()
	}))
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "kept"))
	s.do(request(t, "GET", "/", "root", "toor").WithContext(ctx))
	equal(t, "user", user, otelauth.User{Name: "root", Groups: []string{"ops"}})
	if !found || value != "kept" || !user.In("ops") || user.In("dev") {
		t.Errorf("found %v, value %v", found, value)
	}
	cancel()
	if kept.Err() == nil {
		t.Error("the handler's context is not canceled with the request's")
	}
	// A leaked context keeps its own user during later requests.
	s.do(request(t, "GET", "/", "alice", "wonderland"))
	previous := kept
	s.do(request(t, "GET", "/public", "", ""))
	if leaked, _ = otelauth.UserFromContext(previous); leaked.Name != "alice" {
		t.Errorf("a context that was kept has the user %q", leaked.Name)
	}
	if found {
		t.Errorf("an anonymous caller is %q", user.Name)
	}
	if u, in := otelauth.UserFromContext(context.Background()); in || u.Name != "" {
		t.Errorf("outside: %v", u)
	}
}

// Authenticate verifies, charges and records, and does not change the request.
func TestAuthenticate(t *testing.T) {
	t.Parallel()
	s := newService(t, otelauth.Config{Public: []string{"GET /healthz"}}, nil)
	for _, tc := range []struct {
		name, pass string
		outcome    attempt.Outcome
	}{
		{"alice", "wonderland", attempt.Success}, {"alice", "wonderland", attempt.Success}, {"alice", "x", attempt.Failure},
		{"mallory", "x", attempt.Failure}, {"", "", attempt.Missing},
	} {
		r := request(t, "GET", "/healthz", tc.name, tc.pass) // Public is not used
		before := r.Clone(r.Context())
		user, res := s.mw.Authenticate(r)
		if res.Outcome != tc.outcome || (user.Name == "alice") != (tc.outcome == attempt.Success) {
			t.Errorf("%s: %v %v", tc.name, user, res.Outcome)
		}
		if r.Pattern != before.Pattern || r.Context() != before.Context() || r.Header.Get("Authorization") != before.Header.Get("Authorization") {
			t.Error("the request was changed")
		}
	}
	if n := s.recorded(); n != 5 {
		t.Errorf("%d attempts were recorded", n)
	}
	if n := s.Sum("auth.attempts", attribute.String("http.route", "/healthz")); n != 5 {
		t.Errorf("auth.attempts = %v", n)
	}
}

// There is no user when the store is down or the required trail cannot write.
func TestAuthenticateFailsClosed(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]otelauth.Config{
		"store down":        {Accounts: down{accounts(t)}},
		"trail full":        {Observers: []attempt.Observer{fullTrail{}}},
		"store that panics": {Accounts: panicking{accounts(t)}},
	} {
		mw := newMiddleware(t, cfg)
		user, res := mw.Authenticate(request(t, "GET", "/", "alice", "wonderland"))
		if user.Name != "" || user.Groups != nil || res.Outcome != attempt.Error || res.Err == nil {
			t.Errorf("%s: %v %+v", name, user, res)
		}
		if strings.Contains(fmt.Sprint(res.Err), "wonderland") {
			t.Errorf("%s: %v", name, res.Err)
		}
	}
}
