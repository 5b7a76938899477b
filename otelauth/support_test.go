// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/internal/testkit/cheaphash"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

func hash(t testing.TB, pass string) string {
	t.Helper()
	return cheaphash.Of(t, pass)
}

func accounts(t testing.TB) *verify.Static {
	t.Helper()
	return &verify.Static{
		Hashes: map[string]string{"alice": hash(t, "wonderland"), "bob": hash(t, "builder"), "root": hash(t, "toor")},
		Groups: map[string][]string{"ops": {"root"}},
	}
}

// newMiddleware returns a Middleware for cfg, with default accounts.
func newMiddleware(t testing.TB, cfg otelauth.Config) *otelauth.Middleware {
	t.Helper()
	if cfg.Accounts == nil && cfg.Verifier == nil {
		cfg.Accounts = accounts(t)
	}
	mw, err := otelauth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mw.Close() })
	return mw
}

// request returns a request from loopback; with a name it has credentials.
func request(t testing.TB, method, target, name, pass string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	r.RemoteAddr = "127.0.0.1:40000"
	if name != "" {
		r.SetBasicAuth(name, pass)
	}
	return r
}

// ordersMux is the service that most tests protect.
func ordersMux() *http.ServeMux {
	mux := http.NewServeMux()
	name := func(w http.ResponseWriter, r *http.Request) {
		user, _ := otelauth.UserFromContext(r.Context())
		_, _ = io.WriteString(w, "user="+user.Name)
	}
	mux.HandleFunc("GET /orders", name)
	mux.HandleFunc("POST /orders", name)
	mux.HandleFunc("GET /orders/{id}", name)
	mux.HandleFunc("GET /healthz", name)
	mux.HandleFunc("GET /admin", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	mux.HandleFunc("GET /again", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	return mux
}

// service is a Middleware between otelhttp and a handler, with recorded telemetry.
type service struct {
	*otelauthtest.Recorder
	mw      *otelauth.Middleware
	handler http.Handler
}

// serverName has a port: without one otelhttp takes it from the Host header.
const serverName = "orders.example:8443"

var testKey = otelauth.IdentityKey{ID: "k1", Secret: []byte(strings.Repeat("K", 32))}

// newService connects cfg to a Recorder. Routes and handler are ordersMux unless next is set.
func newService(t testing.TB, cfg otelauth.Config, next http.Handler) *service {
	t.Helper()
	s := &service{Recorder: otelauthtest.NewRecorder(t)}
	if next == nil {
		next = ordersMux()
	}
	if mux, ok := next.(*http.ServeMux); ok && cfg.Routes == nil {
		cfg.Routes = mux
	}
	if cfg.IdentityKey.IsZero() {
		cfg.IdentityKey = testKey
	}
	cfg.TracerProvider, cfg.MeterProvider, cfg.LoggerProvider = s.TracerProvider(), s.MeterProvider(), s.LoggerProvider()
	s.mw = newMiddleware(t, cfg)
	s.handler = s.otelhttp(s.mw.Wrap(next))
	return s
}

func (s *service) otelhttp(h http.Handler) http.Handler {
	return otelhttp.NewHandler(h, "orders",
		otelhttp.WithTracerProvider(s.TracerProvider()), otelhttp.WithMeterProvider(s.MeterProvider()),
		otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithPublicEndpointFn(s.mw.Untrusted), otelhttp.WithServerName(serverName))
}

func (s *service) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// last returns the last recorded attempt.
func (s *service) last(t testing.TB) otelauthtest.Attempt {
	t.Helper()
	all := s.Attempts()
	if len(all) == 0 {
		t.Fatal("no attempt was recorded")
	}
	return all[len(all)-1]
}

// eventsNamed returns the events of that name.
func (s *service) eventsNamed(name string) (found []otelauthtest.Event) {
	for _, e := range s.Events() {
		if e.Name() == name {
			found = append(found, e)
		}
	}
	return found
}

// serverSpan returns the span of otelhttp in that trace.
func (s *service) serverSpan(t testing.TB, id trace.TraceID) otelauthtest.Span {
	t.Helper()
	for _, span := range s.ByTrace(id).Spans {
		if span.SpanKind == trace.SpanKindServer {
			return span
		}
	}
	t.Fatalf("trace %s has no server span", id)
	return otelauthtest.Span{}
}

// listen serves h on a real loopback socket and returns its address.
func listen(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

// exchangeRaw sends bytes over a new connection and returns the first response with its body.
func exchangeRaw(t testing.TB, network, addr, raw string) (*http.Response, string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// a hung server fails this test, not the run
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	// the server may answer and close before it has read everything
	go func() { _, _ = io.WriteString(conn, raw) }()
	method, _, _ := strings.Cut(raw, " ")
	resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no response to %.60q: %v", raw, err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body []byte
	if method != http.MethodConnect || resp.StatusCode != http.StatusOK {
		body, _ = io.ReadAll(resp.Body)
	}
	return resp, string(body)
}

// problemOf decodes the problem document of a denial.
type problem struct {
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	TraceID string `json:"trace_id"`
}

func problemOf(t testing.TB, body string) (p problem) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		t.Fatalf("not a problem document: %v: %q", err, body)
	}
	return p
}

// instant is a Verifier that accepts every password except "wrong" at once.
type instant struct{}

func (instant) Verify(_ context.Context, name string, secret credential.Secret) (*verify.Account, error) {
	if string(secret.Expose()) == "wrong" {
		return nil, nil
	}
	return &verify.Account{Name: name}, nil
}

// scripted is a Throttle with fixed decisions.
type scripted struct {
	throttle.DangerouslyNone

	decision throttle.Decision
	err      error
}

func (s scripted) Spend(context.Context, throttle.Guess) (throttle.Decision, error) {
	return s.decision, s.err
}
func (scripted) Exhausted(throttle.Guess) bool { return true }

var errStore = errors.New("store: connection refused")

// down is an account store that does not answer.
type down struct{ *verify.Static }

func (down) Lookup(context.Context, string) (*verify.Account, error) { return nil, errStore }

var errTrail = errors.New("trail: no space left")

// fullTrail is a required trail that cannot write.
type fullTrail struct{}

func (fullTrail) Begin(ctx context.Context, _ *attempt.Request) context.Context { return ctx }
func (fullTrail) Decide(context.Context, *attempt.Request, *attempt.Result) error {
	return errTrail
}
func (fullTrail) End(context.Context, *attempt.Request, *attempt.Result, *attempt.Response) {}

// closedAccounts holds alice, who is disabled, and bob, whose credentials have ended.
type closedAccounts struct{ *verify.Static }

func (c closedAccounts) Lookup(ctx context.Context, name string) (*verify.Account, error) {
	a, err := c.Static.Lookup(ctx, name)
	if a == nil {
		return nil, err
	}
	b := *a
	switch name {
	case "alice":
		b.Disabled = true
	case "bob":
		b.Expires = time.Unix(1, 0)
	}
	return &b, err
}

// busy is a Verifier that answers when it is released.
type busy struct{ release chan struct{} }

func (b busy) Verify(ctx context.Context, name string, _ credential.Secret) (*verify.Account, error) {
	select {
	case <-b.release:
	case <-ctx.Done():
	}
	return &verify.Account{Name: name}, nil
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// tlsServer serves h over HTTP/2.
func tlsServer(t testing.TB, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

// recorded returns how many attempts have ended, each with an event.
func (s *service) recorded() int { return len(s.eventsNamed(semconv.EventAttempt)) }

// panicking is a store that panics with the name.
type panicking struct{ *verify.Static }

func (panicking) Lookup(_ context.Context, name string) (*verify.Account, error) {
	panic("no such row: " + name + " wonderland")
}
