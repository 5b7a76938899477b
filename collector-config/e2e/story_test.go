// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// The clients and accounts of a [story].
const (
	// guesses alice's password, succeeds, guesses carol's until it is throttled
	storyGuesser = "203.0.113.9"
	storySprayer = "198.51.100.7" // one password for each account
	storyOwner   = "192.0.2.50"
	storyAccount = "alice"
	storyCanary  = "canary-looking-glass"
)

// A story is a service with telemetry of the real library, through the real SDK and OTLP.
type story struct {
	traces *sdktrace.TracerProvider
	meters *sdkmetric.MeterProvider
	logs   *sdklog.LoggerProvider

	TraceID string     // of one of alice's failures
	Trail   string     // the folder of its trail
	Key     *trail.Key // of its trail
}

// newStory creates the providers of a service. url is that of a receiver, without /v1/….
func newStory(t *testing.T, url, token string) *story {
	t.Helper()
	ctx := t.Context()
	header := map[string]string{"Authorization": "Bearer " + token}
	spans, errSpans := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(url+"/v1/traces"), otlptracehttp.WithHeaders(header))
	points, errPoints := otlpmetrichttp.New(ctx, otlpmetrichttp.WithEndpointURL(url+"/v1/metrics"), otlpmetrichttp.WithHeaders(header))
	records, errRecords := otlploghttp.New(ctx, otlploghttp.WithEndpointURL(url+"/v1/logs"), otlploghttp.WithHeaders(header))
	if err := errors.Join(errSpans, errPoints, errRecords); err != nil {
		t.Fatal(err)
	}
	res := resource.NewSchemaless(attribute.String("service.namespace", "shop"), attribute.String("service.name", "orders"),
		attribute.String("service.instance.id", "orders-1"))
	s := &story{
		traces: sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithBatcher(spans)),
		meters: sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(sdkmetric.NewPeriodicReader(points))),
		logs:   sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(sdklog.NewBatchProcessor(records)), sdklog.WithAllowKeyDuplication()),
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), collectortest.Deadline)
		defer cancel()
		_ = errors.Join(s.traces.Shutdown(ctx), s.meters.Shutdown(ctx), s.logs.Shutdown(ctx))
	})
	return s
}

// flush exports pending data.
func (s *story) flush(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), collectortest.Deadline)
	defer cancel()
	if err := errors.Join(s.traces.ForceFlush(ctx), s.meters.ForceFlush(ctx), s.logs.ForceFlush(ctx)); err != nil {
		t.Fatal(err)
	}
}

// service returns a middleware in front of two endpoints. The handler of /admin decides itself.
func (s *story) service(t *testing.T, cfg otelauth.Config) (send func(from, path, user, pass string) *httptest.ResponseRecorder, end func()) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /admin", func(w http.ResponseWriter, r *http.Request) {
		otelauth.RecordRefusal(r.Context(), attempt.ReasonNotPermitted, "group ops")
		w.WriteHeader(http.StatusForbidden)
	})
	cfg.Routes = mux
	cfg.TracerProvider, cfg.MeterProvider, cfg.LoggerProvider = s.traces, s.meters, s.logs
	mw, err := otelauth.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	handler := otelhttp.NewHandler(mw.Wrap(mux), "orders", otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName("orders.example:443"),
		otelhttp.WithTracerProvider(s.traces), otelhttp.WithMeterProvider(s.meters))
	send = func(from, path, user, pass string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
		r.RemoteAddr, r.TLS = from+":40000", &tls.ConnectionState{}
		if user != "" {
			r.SetBasicAuth(user, pass)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	return send, func() {
		if err := mw.Close(); err != nil {
			t.Error(err)
		}
	}
}

// directory is a verifier that cannot be reached.
type directory struct{}

func (directory) Verify(context.Context, string, credential.Secret) (*verify.Account, error) {
	return nil, errors.New("no route to the directory")
}

// slow is a verifier that does not return until it is released.
type slow struct{ entered, leave chan struct{} }

func (s *slow) Verify(context.Context, string, credential.Secret) (*verify.Account, error) {
	close(s.entered)
	<-s.leave
	return nil, nil
}

var hexTraceID = regexp.MustCompile(`[0-9a-f]{32}`)

// storyTrail is the name of the trail.
const storyTrail = "orders.example/story"

// record opens a trail to whose first segment another program then writes.
func (s *story) record(t *testing.T) *trail.Trail {
	t.Helper()
	var err error
	if s.Key, err = trail.GenerateKey(rand.Reader, storyTrail); err != nil {
		t.Fatal(err)
	}
	s.Trail = filepath.Join(t.TempDir(), "trail")
	noticed := make(chan attempt.Notice, 8)
	record, err := trail.Open(trail.Config{
		Dir: s.Trail, Key: s.Key, Durability: trail.Ordered, LoggerProvider: s.logs, MeterProvider: s.meters,
		Notify: func(_ context.Context, n attempt.Notice) {
			select {
			case noticed <- n:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(s.Trail, "segments", strings.Repeat("0", 20)+".jsonl"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("not a line\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Receive(t, "the anomaly", noticed)
	return record
}

// play causes everything that a rule or a query looks for, and exports it.
func (s *story) play(t *testing.T) {
	t.Helper()
	hash, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte("wonderland"), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users.htpasswd")
	lines := []string{storyAccount + ":" + hash, "bob:" + hash, "carol:" + hash}
	for i := range 14 {
		lines = append(lines, fmt.Sprintf("user%02d:%s", i, hash))
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	users, err := htpasswd.Open(htpasswd.Config{Path: path, Unwatched: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = users.Close() })

	record := s.record(t)
	send, end := s.service(t, otelauth.Config{Accounts: users, Events: audit.Events{Burst: 5, Every: time.Hour}, Trail: record})
	send(storyOwner, "/orders/7", "", "")
	send(storyOwner, "/orders/7", "bob", "wonderland")
	send(storyOwner, "/admin", "bob", "wonderland")
	for i := range 5 {
		w := send(storyGuesser, "/orders/7", storyAccount, fmt.Sprint(storyCanary, i))
		s.TraceID = hexTraceID.FindString(w.Body.String())
	}
	if s.TraceID == "" {
		t.Fatal("the answer to a failure has no trace id")
	}
	send(storyGuesser, "/orders/7", storyAccount, "wonderland")
	for i := range 12 {
		send(storyGuesser, "/orders/8", "carol", fmt.Sprint(storyCanary, i))
	}
	for i := range 14 {
		send(storySprayer, "/orders/7", fmt.Sprintf("user%02d", i), storyCanary)
	}
	for i := range 3 {
		send(storySprayer, "/orders/7", fmt.Sprintf("nobody%02d", i), storyCanary)
	}
	if err := users.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("alice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := users.Reload(); err == nil {
		t.Fatal("a broken file was taken")
	}
	s.flush(t) // while the middleware and the trail report their state
	end()
	if err := record.Close(t.Context()); err != nil {
		t.Fatal(err)
	}

	send, end = s.service(t, otelauth.Config{Verifier: directory{}})
	send(storyOwner, "/orders/7", "bob", "wonderland")
	end()
	busy := &slow{entered: make(chan struct{}), leave: make(chan struct{})}
	send, end = s.service(t, otelauth.Config{Verifier: busy, Gate: verify.NewGate(verify.Limits{Slots: 1, MaxWait: 1})})
	done := make(chan struct{})
	go func() {
		defer close(done)
		send(storyOwner, "/orders/7", "bob", "wonderland")
	}()
	<-busy.entered
	send(storyOwner, "/orders/7", "bob", "looking-glass")
	close(busy.leave)
	<-done
	end()

	// Observers replace the default ones of Config, so this detector has a service of its own.
	dropping, err := detect.New(detect.Config{Queue: 2, LoggerProvider: s.logs, MeterProvider: s.meters})
	if err != nil {
		t.Fatal(err)
	}
	send, end = s.service(t, otelauth.Config{Accounts: users, Observers: []attempt.Observer{dropping}})
	for range 5 {
		send(storyOwner, "/orders/7", storyAccount, "wonderland")
	}
	dropping.Drain(time.Now())
	if dropping.Dropped() == 0 {
		t.Fatal("the queue of detection was never full")
	}
	end()

	// The tests of redisstore cover a failing Redis. Here its event is enough.
	events, err := audit.New(audit.Config{LoggerProvider: s.logs})
	if err != nil {
		t.Fatal(err)
	}
	events.Notice(t.Context(), attempt.Notice{Kind: attempt.ThrottleStore, Time: time.Now(), Message: "budgets are not shared", Err: errors.New("redisstore: no answer")})
	s.flush(t)
}
