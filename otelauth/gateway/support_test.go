// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/internal/semconvgen/recorded"
	"github.com/otelauth/otelauth-go/internal/testkit/cheaphash"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// patience is how long a test waits for an expected event.
const patience = 60 * time.Second

// shortStall is the StallTimeout of tests in which a client stalls. What the gateway itself does
// takes less time than this, also on a busy machine.
const shortStall = time.Second

func hash(t testing.TB, pass string) string {
	t.Helper()
	return cheaphash.Of(t, pass)
}

// accounts holds alice (no group), dave (dev) and root (ops, dev).
func accounts(t testing.TB) *verify.Static {
	t.Helper()
	return &verify.Static{
		Hashes: map[string]string{"alice": hash(t, "wonderland"), "dave": hash(t, "jones"), "root": hash(t, "toor")},
		Groups: map[string][]string{"ops": {"root"}, "dev": {"root", "dave"}},
	}
}

// mutable is a store whose accounts can change while they are in use.
type mutable struct {
	mu sync.Mutex
	verify.Accounts
	failing error
	asked   int
}

func (m *mutable) Lookup(ctx context.Context, name string) (*verify.Account, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.failing != nil {
		return nil, m.failing
	}
	return m.Accounts.Lookup(ctx, name)
}

// lookups returns how often the store was queried.
func (m *mutable) lookups() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked
}

func (m *mutable) set(a verify.Accounts, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a != nil {
		m.Accounts = a
	}
	m.failing = err
}

var errStore = errors.New("store: connection refused")

// site is a gateway on a real listener, with recorded telemetry, in front of an upstream that
// records its requests.
type site struct {
	*otelauthtest.Recorder
	gw   *gateway.Gateway
	addr string

	upstream string
	stop     func() error // drains, once

	mu   sync.Mutex
	seen []*http.Request
}

// reached returns the requests that the upstream received.
func (s *site) reached() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *site) last(t testing.TB) *http.Request {
	t.Helper()
	all := s.reached()
	if len(all) == 0 {
		t.Fatal("nothing reached the upstream")
	}
	return all[len(all)-1]
}

// remember wraps next, the upstream's handler, and records requests; nil answers "ok".
func (s *site) remember(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.seen = append(s.seen, r.Clone(context.Background()))
		s.mu.Unlock()
		if next != nil {
			next.ServeHTTP(w, r)
			return
		}
		_, _ = io.WriteString(w, "ok")
	})
}

// newSite starts the gateway and, without an Upstream in cfg, an upstream that serves handler.
func newSite(t testing.TB, cfg gateway.Config, handler http.Handler) *site {
	t.Helper()
	s := &site{Recorder: otelauthtest.NewRecorder(t)}
	if cfg.Upstream == "" {
		upstream := httptest.NewServer(s.remember(handler))
		t.Cleanup(upstream.Close)
		cfg.Upstream = upstream.URL
	}
	s.start(t, cfg)
	return s
}

// own fills in the settings that every test needs.
func (s *site) own(t testing.TB, cfg gateway.Config) gateway.Config {
	t.Helper()
	if cfg.Auth.Accounts == nil && cfg.Auth.Verifier == nil {
		cfg.Auth.Accounts = accounts(t)
	}
	cfg.Auth.TracerProvider, cfg.Auth.MeterProvider, cfg.Auth.LoggerProvider = s.TracerProvider(), s.MeterProvider(), s.LoggerProvider()
	cfg.Auth.Events = audit.Events{DangerouslyUnfolded: true}
	return cfg
}

func (s *site) start(t testing.TB, cfg gateway.Config) {
	t.Helper()
	gw, err := gateway.New(s.own(t, cfg))
	if err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	s.gw, s.addr, s.upstream = gw, l.Addr().String(), cfg.Upstream
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- gw.Serve(ctx, l) }()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		_ = s.stop()
		if err := gw.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		recorded.Check(t, s.Recorder) // every signal of every test is declared
	})
}

// request returns a request to the gateway, with credentials if name is not empty.
func (s *site) request(t testing.TB, method, path, name, pass string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.addr+path, body)
	if err != nil {
		t.Fatal(err)
	}
	if name != "" {
		r.SetBasicAuth(name, pass)
	}
	return r
}

// client follows no redirects and shares no connections.
func client(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (s *site) do(t testing.TB, r *http.Request) (*http.Response, string) {
	t.Helper()
	res, err := client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func (s *site) get(t testing.TB, path, name, pass string) (*http.Response, string) {
	t.Helper()
	return s.do(t, s.request(t, http.MethodGet, path, name, pass, nil))
}

// raw sends bytes on a new connection and returns everything that the gateway sends until it
// closes.
func (s *site) raw(t testing.TB, bytes string) string {
	t.Helper()
	conn := s.dial(t)
	// it may be answered, and closed, before it is read to its end
	go func() { _, _ = io.WriteString(conn, bytes) }()
	answer, _ := io.ReadAll(conn)
	return string(answer)
}

func (s *site) dial(t testing.TB) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience)) // a hung server fails this test, not the run
	return conn
}

// status returns the status of the first response in answer, or 0 without one.
func status(t testing.TB, answer string) int {
	t.Helper()
	if answer == "" {
		return 0
	}
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
	if err != nil {
		t.Fatalf("no response in %.100q: %v", answer, err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

func (s *site) named(name string) (found []otelauthtest.Event) {
	for _, e := range s.Events() {
		if e.Name() == name {
			found = append(found, e)
		}
	}
	return found
}

// attempts returns the recorded attempt events.
func (s *site) attempts() []otelauthtest.Event { return s.named("auth.attempt") }

// eventually waits until ok returns true.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, patience)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

type problem struct {
	Title   string `json:"title"`
	Status  int    `json:"status"`
	Detail  string `json:"detail"`
	TraceID string `json:"trace_id"`
}

func problemOf(t testing.TB, body string) (p problem) {
	t.Helper()
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("not a problem document: %v: %q", err, body)
	}
	return p
}

func equal(t testing.TB, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

// listen returns a listener on loopback.
func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
