// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/collector-config/e2e/servers"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Config configures a service. Collector and Token are required.
type Config struct {
	Name      string            // service.name; default "orders"
	Collector string            // http://host:port of its OTLP over HTTP
	Token     string            // required by the collector
	Accounts  map[string]string // passwords by name; default one account, alice
	Events    audit.Events      // as in otelauth.Config
	Interval  time.Duration     // export interval of metrics; default 500 ms
	Delay     time.Duration     // delay of the batch processors; default 200 ms
	Queue     int               // capacity of the queues of events and of spans; default 65,536
	GiveUp    time.Duration     // time limit of an export with its retries; default 2 s
}

// Service is a running service. Its methods are safe for concurrent use, except for Shutdown.
type Service struct {
	Name string
	Job  string // the label of its series
	URL  string

	books     *books
	telemetry *telemetry
	mw        *otelauth.Middleware
	server    *httptest.Server
	client    *http.Client
	once      sync.Once
	ended     error
}

// Namespace is service.namespace of every service.
const Namespace = "e2e"

// Start starts a service that ends with t.
func Start(t servers.Owner, cfg Config) *Service {
	t.Helper()
	if cfg.Name == "" {
		cfg.Name = "orders"
	}
	if cfg.Accounts == nil {
		cfg.Accounts = map[string]string{"alice": "wonderland-4711"}
	}
	if cfg.Interval == 0 {
		cfg.Interval = 500 * time.Millisecond
	}
	if cfg.Delay == 0 {
		cfg.Delay = 200 * time.Millisecond
	}
	if cfg.Queue == 0 {
		cfg.Queue = 1 << 16
	}
	if cfg.GiveUp == 0 {
		cfg.GiveUp = 2 * time.Second
	}
	s := &Service{Name: cfg.Name, Job: Namespace + "/" + cfg.Name, books: newBooks()}
	var err error
	if s.telemetry, err = startTelemetry(cfg, s.books); err != nil {
		t.Fatalf("service: %v", err)
	}
	hashes := make(map[string]string)
	for name, password := range cfg.Accounts {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			t.Fatalf("service: %v", err)
		}
		hashes[name] = string(hash)
	}
	mux := newMux()
	s.mw, err = otelauth.New(otelauth.Config{
		Realm: cfg.Name, Accounts: &verify.Static{Hashes: hashes}, Routes: mux, Events: cfg.Events,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		TracerProvider: s.telemetry.traces, MeterProvider: s.telemetry.meters, LoggerProvider: s.telemetry.logs,
	})
	if err != nil {
		t.Fatalf("service: %v", err)
	}
	s.server = httptest.NewServer(otelhttp.NewHandler(s.mw.Wrap(mux), cfg.Name,
		otelhttp.WithPublicEndpointFn(s.mw.Untrusted), otelhttp.WithServerName("orders.example:443"),
		otelhttp.WithTracerProvider(s.telemetry.traces), otelhttp.WithMeterProvider(s.telemetry.meters)))
	s.URL = s.server.URL
	s.client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(func() { _ = s.Shutdown() })
	return s
}

// Paths of the service. "/once" is for the one attempt whose exemplar no other attempt may
// replace.
func newMux() *http.ServeMux {
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"trace_id": trace.SpanContextFromContext(r.Context()).TraceID().String()})
	}
	for _, pattern := range []string{"GET /orders", "GET /orders/{id}", "GET /once", "GET /invoices"} {
		mux.HandleFunc(pattern, ok)
	}
	return mux
}

// Answer is the answer to an attempt.
type Answer struct {
	Status  int
	TraceID string
	Body    []byte
	Header  http.Header
	Sent    time.Time
}

// Get makes an attempt from a client address.
func (s *Service) Get(path, user, password, from string) (Answer, error) {
	return s.Send(path, from, func(req *http.Request) {
		if user != "" {
			req.SetBasicAuth(user, password)
		}
	})
}

// Send sends a request from a client address, after shape has changed it.
func (s *Service) Send(path, from string, shape func(*http.Request)) (Answer, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.URL+path, http.NoBody)
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("X-Forwarded-For", from)
	req.Header.Set("X-Forwarded-Proto", "https")
	shape(req)
	sent := time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, err
	}
	var quoted struct {
		TraceID string `json:"trace_id"`
	}
	_ = json.Unmarshal(body, &quoted)
	return Answer{Status: resp.StatusCode, TraceID: quoted.TraceID, Body: body, Header: resp.Header, Sent: sent}, nil
}

// MustGet is Get for tests.
func (s *Service) MustGet(t servers.Owner, path, user, password, from string) Answer {
	t.Helper()
	answer, err := s.Get(path, user, password, from)
	if err != nil {
		t.Fatalf("service: %v", err)
	}
	if answer.TraceID == "" {
		t.Fatalf("service: no trace id in the answer %d %q", answer.Status, answer.Body)
	}
	return answer
}

// Made returns the trace ids of the attempts that have an event, each once.
func (s *Service) Made() []string { return s.books.list(s.books.made) }

// Acknowledged returns the trace ids of the attempts whose event the collector has acknowledged.
func (s *Service) Acknowledged() []string { return s.books.list(s.books.acknowledged) }

// GivenUp returns the trace ids of the attempts whose event an export has failed to deliver.
func (s *Service) GivenUp() []string { return s.books.list(s.books.givenUp) }

// Flush exports everything that waits, or gives it up.
func (s *Service) Flush(ctx context.Context) error { return s.telemetry.flush(ctx) }

// Shutdown ends the service: it stops accepting requests, then emits folded events, then exports
// what waits.
func (s *Service) Shutdown() error {
	s.once.Do(func() {
		s.server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		s.ended = errors.Join(s.mw.Close(), s.telemetry.shutdown(ctx))
	})
	return s.ended
}

// books records what was made, acknowledged and given up.
type books struct {
	mu                          sync.Mutex
	made, acknowledged, givenUp map[string]struct{}
}

func newBooks() *books {
	return &books{made: map[string]struct{}{}, acknowledged: map[string]struct{}{}, givenUp: map[string]struct{}{}}
}

func (b *books) list(m map[string]struct{}) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := make([]string, 0, len(m))
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
