// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package examples_test compares README.md and the pages of docs with the code.
package examples_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/detect/redisfeed"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// The Go blocks of README.md and docs, compiled and run. A block is a sequence of lines of this
// file. Blank lines and indentation do not count, nor do lines that end in "// not in the README".

func Example_integration() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		user, ok := otelauth.UserFromContext(r.Context())
		fmt.Fprintln(w, user.Name, ok)
	})
	directory, err := os.MkdirTemp("", "readme")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(directory) }()
	if err := os.WriteFile(filepath.Join(directory, "users.htpasswd"), []byte("alice:"+wonderland+"\n"), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	handler, stop := integrated(directory, mux)
	defer stop()

	r := httptest.NewRequest("GET", "/orders/7", nil)
	r.RemoteAddr = "127.0.0.1:40000"
	for _, password := range []string{"wonderland", "looking-glass"} {
		r.SetBasicAuth("alice", password)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 401
}

func integrated(directory string, mux *http.ServeMux) (http.Handler, func()) {
	check := func(err error) { // not in the README
		if err != nil { // not in the README
			panic(err) // not in the README
		} // not in the README
	} // not in the README
	here, err := os.Getwd()
	check(err)
	check(os.Chdir(directory))
	defer func() { check(os.Chdir(here)) }()

	users, err := htpasswd.Open(htpasswd.Config{Path: "users.htpasswd"})
	check(err) // not in the README
	mw, err := otelauth.New(otelauth.Config{Realm: "orders", Accounts: users, Routes: mux})
	check(err) // not in the README
	handler := otelhttp.NewHandler(mw.Wrap(mux), "orders",
		otelhttp.WithPublicEndpointFn(mw.Untrusted), otelhttp.WithServerName("orders.example:443"))

	return handler, func() { _, _ = mw.Close(), users.Close() }
}

// wonderland is a bcrypt hash of that word with the lowest cost, for fast tests.
const wonderland = "$2y$04$sW65/0lcGVKlAH4F55lS2OJnUXYQZJn0Wy8QvO0e47nojfb5NefFC"

// forgetful is a log exporter that drops everything.
type forgetful struct{}

func (forgetful) Export(context.Context, []sdklog.Record) error { return nil }
func (forgetful) ForceFlush(context.Context) error              { return nil }
func (forgetful) Shutdown(context.Context) error                { return nil }

func TestReadmeLogs(t *testing.T) {
	t.Parallel()
	exporter := forgetful{}
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(exporter)), sdklog.WithAllowKeyDuplication())
	if err := logs.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestReadmeRecorder(t *testing.T) {
	t.Parallel()
	users := &verify.Static{Hashes: map[string]string{"alice": wonderland}}
	rec := otelauthtest.NewRecorder(t)
	mw, err := otelauth.New(otelauth.Config{
		Accounts:       users,
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.RemoteAddr = "127.0.0.1:40000"
	r.SetBasicAuth("alice", "looking-glass")
	if _, res := mw.Authenticate(r); res.Outcome != attempt.Failure || len(rec.Attempts()) != 1 {
		t.Errorf("%v, %d attempts", res.Outcome, len(rec.Attempts()))
	}
}

// guess sends n wrong passwords for alice from 192.0.2.7, and returns the last status.
func guess(t *testing.T, mw *otelauth.Middleware, n int) int {
	t.Helper()
	w := httptest.NewRecorder()
	for i := range n {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "https://orders.example/", nil)
		r.RemoteAddr = "192.0.2.7:40000"
		r.SetBasicAuth("alice", fmt.Sprint("guess", i))
		w = httptest.NewRecorder()
		mw.Wrap(http.NotFoundHandler()).ServeHTTP(w, r)
	}
	return w.Code
}

func TestReadmeEnd(t *testing.T) {
	t.Parallel()
	users, err := htpasswd.Open(htpasswd.Config{Path: "quickstart/accounts.htpasswd", Unwatched: true})
	if err != nil {
		t.Fatal(err)
	}
	mw, err := otelauth.New(otelauth.Config{Accounts: users})
	if err != nil {
		t.Fatal(err)
	}
	ctx, server, logs := t.Context(), new(http.Server), sdklog.NewLoggerProvider()
	err = errors.Join(server.Shutdown(ctx), mw.Close(), users.Close(), logs.Shutdown(ctx))
	if err != nil {
		t.Error(err)
	}
}

func TestReadmeTrail(t *testing.T) {
	t.Parallel()
	users, err := htpasswd.Open(htpasswd.Config{Path: "quickstart/accounts.htpasswd", Unwatched: true})
	if err != nil {
		t.Fatal(err)
	}
	key, err := trail.GenerateKey(rand.Reader, "orders.example/gateway")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "trail")
	record, err := trail.Open(trail.Config{Dir: dir, Key: key})
	if err != nil { // not in the README
		t.Fatal(err) // not in the README
	} // not in the README
	mw, err := otelauth.New(otelauth.Config{Accounts: users, Trail: record})
	if err != nil {
		t.Fatal(err)
	}
	if code := guess(t, mw, 1); code != http.StatusUnauthorized {
		t.Errorf("status %d", code)
	}
	ctx, server, logs := t.Context(), new(http.Server), sdklog.NewLoggerProvider()
	err = errors.Join(server.Shutdown(ctx), mw.Close(), record.Close(ctx), users.Close(), logs.Shutdown(ctx))
	if err != nil {
		t.Error(err)
	}
	if _, err := trail.Verify(ctx, dir, trail.VerifyOptions{Keys: []string{key.Public()}}); err != nil {
		t.Error(err)
	}
}

// checker returns a function that fails the test for an error.
func checker(t *testing.T) func(error) {
	t.Helper()
	return func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestReadmeTuned(t *testing.T) {
	t.Parallel()
	check := checker(t) // not in the README
	users := &verify.Static{Hashes: map[string]string{"alice": wonderland}}

	half, whole := throttle.Limit{Burst: 5, Every: time.Hour}, throttle.Limit{Burst: 10, Every: 30 * time.Minute}
	mw, err := otelauth.New(otelauth.Config{
		Accounts: users,
		Budgets:  throttle.Config{Limits: throttle.Limits{NewPair: half, KnownPair: half, Account: whole}},
		Detect:   detect.Config{Off: []string{detect.NewNetwork}, Thresholds: detect.Thresholds{SprayAccounts: 20}},
		Events:   audit.Events{Success: audit.FirstSuccess},
	})
	check(err) // not in the README

	t.Cleanup(func() {
		check(mw.Close())
	})
	if code := guess(t, mw, 11); code != http.StatusTooManyRequests || mw.Budgets() == nil {
		t.Errorf("the eleventh guess got %d", code)
	}
}

// TestReadmeShared: budgets work without Redis.
func TestReadmeShared(t *testing.T) {
	t.Parallel()
	check := checker(t) // not in the README
	users := &verify.Static{Hashes: map[string]string{"alice": wonderland}}
	rec := otelauthtest.NewRecorder(t)
	events, err := audit.New(audit.Config{LoggerProvider: rec.LoggerProvider()})
	check(err)
	client := redis.NewClient(&redis.Options{})
	client.AddHook(new(fakeRedis))
	key := []byte("a key of a test, 32 bytes or more")
	identity := otelauth.IdentityKey{ID: "test", Secret: key}

	store, err := redisstore.New(redisstore.Config{Client: client, Prefix: "orders", Notice: events.Notice})
	check(err) // not in the README
	guesses, err := throttle.New(throttle.Config{Store: store, Key: key, Identify: identity.Hash, Notice: events.Notice})
	check(err) // not in the README
	feed, err := redisfeed.New(redisfeed.Config{Client: client, Key: key, Notice: events.Notice})
	check(err) // not in the README
	mw, err := otelauth.New(otelauth.Config{
		Accounts: users, IdentityKey: identity, Throttle: guesses, Detect: detect.Config{Feed: feed},
	})
	check(err) // not in the README

	t.Cleanup(func() {
		check(mw.Close())
		_ = feed.Close() // returns an error: there is no Redis
		check(errors.Join(store.Close(), client.Close()))
	})
	if code := guess(t, mw, 11); code != http.StatusTooManyRequests {
		t.Errorf("the eleventh guess got %d", code)
	}
	var recorded []string
	for _, e := range rec.Events() {
		recorded = append(recorded, e.Name())
	}
	// The event of the feed comes at a time of its own.
	recorded = slices.DeleteFunc(recorded, func(name string) bool { return name == string(attempt.DetectionFeed) })
	if !slices.Equal(recorded, []string{string(attempt.ThrottleStore)}) {
		t.Errorf("recorded %q", recorded)
	}
	who := throttle.Subject{Account: "alice", Network: netip.MustParsePrefix("192.0.2.7/32")}
	if err := guesses.Allow(t.Context(), who, throttle.Act{By: "carol", Why: "test"}); err != nil {
		t.Fatal(err)
	}
	for _, e := range rec.Events() {
		if e.Name() == string(attempt.ThrottleChanged) && e.Attribute("user.hash") != identity.Hash("alice") {
			t.Errorf("the event names %q", e.Attribute("user.hash"))
		}
	}
}

func TestReadmeSnapshot(t *testing.T) {
	t.Chdir(t.TempDir())
	events, err := audit.New(audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("a key of a test, 32 bytes or more")
	memory, err := throttle.NewMemory(throttle.MemoryConfig{SnapshotFile: "budgets", SnapshotKey: key, Notice: events.Notice})
	if err != nil {
		t.Fatal(err)
	}
	if err := memory.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("budgets"); err != nil {
		t.Error(err)
	}
}

func TestReadmeOperator(t *testing.T) {
	t.Parallel()
	check := checker(t) // not in the README
	users := &verify.Static{Hashes: map[string]string{"alice": wonderland}}
	mw, err := otelauth.New(otelauth.Config{Accounts: users})
	check(err)
	t.Cleanup(func() {
		check(mw.Close())
	})
	ctx := t.Context()
	if code := guess(t, mw, 11); code != http.StatusTooManyRequests {
		t.Errorf("the eleventh guess got %d", code)
	}

	who := throttle.Subject{Account: "alice", Network: netip.MustParsePrefix("192.0.2.7/32")}
	why, err := mw.Budgets().Explain(ctx, who)
	check(err)                                                                                                // not in the README
	if s := why.String(); !strings.HasPrefix(s, "refused by the pair budget (10, then 1 each 1m0s) until ") { // not in the README
		t.Error(s) // not in the README
	} // not in the README
	fmt.Println(why) // refused by the pair budget (10, then 1 each 1m0s) until …
	err = mw.Budgets().Clear(ctx, who, throttle.Act{By: "carol@ops", Why: "her new phone"})
	check(err)                                                    // not in the README
	if code := guess(t, mw, 1); code != http.StatusUnauthorized { // not in the README
		t.Error(code) // not in the README
	} // not in the README

	testers := throttle.Subject{Network: netip.MustParsePrefix("198.51.100.0/24")}
	err = mw.Budgets().Allow(ctx, testers, throttle.Act{By: "carol@ops", Why: "penetration test", For: time.Hour})
	check(err) // not in the README
	err = mw.Budgets().Deny(ctx, throttle.Subject{Account: "bob"}, throttle.Act{By: "carol@ops", Why: "password stolen"})
	check(err) // not in the README

	if n := len(mw.Budgets().Rules()); n != 2 {
		t.Errorf("%d rules", n)
	}
}

func TestReadmeSpanLimits(t *testing.T) {
	t.Parallel()
	exporter := tracetest.NewNoopExporter()

	limits := sdktrace.NewSpanLimits() // reads the environment
	limits.AttributeValueLengthLimit = 512
	traces := sdktrace.NewTracerProvider(sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxExportBatchSize(128)))

	if err := traces.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
