// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/internal/semconvgen/recorded"
	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/credential"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/throttle/redisstore"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// TestSignals causes every signal and compares what is emitted with the registry of signals. The
// client, the gateway and the trail have tests of their own.
func TestSignals(t *testing.T) {
	t.Parallel()
	rec := collect(t)
	r, all := recorded.Check(t, rec)
	for _, problem := range r.Unseen(all, func(g *registry.Group) bool {
		return g.File == "gateway.yaml" || g.File == "trail.yaml" || g.ID == "span.auth.client"
	}) {
		t.Error(problem)
	}
}

// refuses is a throttle whose budgets are exhausted.
type refuses struct{ throttle.DangerouslyNone }

func (refuses) Spend(context.Context, throttle.Guess) (throttle.Decision, error) {
	return throttle.Decision{Verdict: throttle.Refused}, nil
}

// down is a verifier that cannot be reached.
type down struct{}

func (down) Verify(context.Context, string, credential.Secret) (*verify.Account, error) {
	return nil, errors.New("no route to the directory")
}

// blocked is a verifier that does not return before the end of the test.
type blocked struct{ entered, leave chan struct{} }

func (b *blocked) Verify(context.Context, string, credential.Secret) (*verify.Account, error) {
	close(b.entered)
	<-b.leave
	return nil, nil
}

// fakeRedis is between a client and its network. It answers every command as if it had succeeded,
// or does not answer.
type fakeRedis struct{ up atomic.Bool }

func (f *fakeRedis) DialHook(redis.DialHook) redis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no route to Redis") }
}

func (f *fakeRedis) ProcessHook(redis.ProcessHook) redis.ProcessHook { return f.answer }

func (f *fakeRedis) answer(_ context.Context, cmd redis.Cmder) error {
	if script, ok := cmd.(interface{ SetVal(any) }); ok && f.up.Load() {
		script.SetVal([]any{int64(0), int64(1)})
		return nil
	}
	err := errors.New("no route to Redis")
	cmd.SetErr(err)
	return err
}

func (f *fakeRedis) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) (err error) {
		for _, cmd := range cmds {
			err = errors.Join(err, f.answer(ctx, cmd))
		}
		return err
	}
}

// globe places every address on the equator, an IPv4 address by its first byte.
type globe struct{}

func (globe) Locate(a netip.Addr) (latitude, longitude float64, ok bool) {
	return 0, float64(a.Unmap().As16()[12]) - 128, true
}

func (globe) Owner(netip.Addr) (country string, system uint32, organization string) {
	return "DE", 64500, "Example Net"
}

// collect causes every signal.
func collect(t *testing.T) *otelauthtest.Recorder {
	t.Helper()
	rec := otelauthtest.NewRecorder(t)
	hash, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte("wonderland"), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "users.htpasswd")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	previous, err := password.Params{Scheme: "bcrypt", BcryptCost: 4}.Hash([]byte("through the looking-glass"), nil)
	if err != nil {
		t.Fatal(err)
	}
	write("alice:" + hash + "\n" +
		"dodo:" + hash + ":previous=" + previous + " previous-expires=" + time.Now().Add(time.Hour).Format(time.RFC3339) + "\n")
	users, err := htpasswd.Open(htpasswd.Config{Path: path, Unwatched: true})
	if err != nil {
		t.Fatal(err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /admin", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	mux.HandleFunc("GET /ops", func(w http.ResponseWriter, r *http.Request) {
		otelauth.RecordRefusal(r.Context(), attempt.ReasonNotPermitted, "group ops")
		w.WriteHeader(http.StatusForbidden)
	})
	var made *otelauth.Middleware // by the last service
	service := func(cfg otelauth.Config) http.Handler {
		t.Helper()
		if cfg.Endpoint == nil {
			cfg.Routes, cfg.Public = mux, []string{"GET /admin"}
		}
		cfg.TracerProvider, cfg.LoggerProvider = rec.TracerProvider(), rec.LoggerProvider()
		if cfg.MeterProvider == nil {
			cfg.MeterProvider = rec.MeterProvider()
		}
		mw, err := otelauth.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = mw.Close() })
		made = mw
		protected := mw.Wrap(mux)
		// Not otelhttp, whose own attributes would hide ours.
		tracer := rec.TracerProvider().Tracer("server")
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, span := tracer.Start(r.Context(), "server", trace.WithSpanKind(trace.SpanKindServer))
			defer span.End()
			protected.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	send := func(h http.Handler, path, authorization string, change func(*http.Request) *http.Request) {
		t.Helper()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		r.RemoteAddr = "127.0.0.1:40000"
		r.Header.Set("User-Agent", "test")
		if name, pass, ok := strings.Cut(authorization, ":"); ok {
			r.SetBasicAuth(name, pass)
		} else if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		if change != nil {
			r = change(r)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	fromOutside := func(r *http.Request) *http.Request {
		r.RemoteAddr = "192.0.2.1:40000"
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		return r
	}
	h := service(otelauth.Config{Accounts: users})
	send(h, "/orders/7", "alice:wonderland", nil)
	send(h, "/orders/7", "alice:wonderland", nil)
	send(h, "/orders/7", "dodo:through the looking-glass", nil)
	send(h, "/orders/7", "alice:looking-glass", nil)
	send(h, "/orders/7", "mallory:looking-glass", nil)
	send(h, "/orders/7", "", nil)
	send(h, "/orders/7", "Bearer x", nil)
	send(h, "/orders/7", "Basic !", nil)
	send(h, "/orders/7", "alice:wonderland", fromOutside)
	send(h, "/admin", "alice:wonderland", nil)
	send(h, "/admin", "", nil)
	send(h, "/ops", "alice:wonderland", nil)
	send(service(otelauth.Config{Accounts: users, MeterProvider: noop.NewMeterProvider()}), "/orders/7", "", nil)
	elsewhere := func(*http.Request) otelauth.Endpoint {
		return otelauth.Endpoint{Pattern: "/orders/{id}", AnsweredElsewhere: true}
	}
	send(service(otelauth.Config{Accounts: users, Endpoint: elsewhere}), "/orders/7", "alice:wonderland", nil)
	requestID := func(*http.Request) string { return "request-7" }
	send(service(otelauth.Config{Accounts: users, Throttle: refuses{}, RequestID: requestID}), "/orders/7", "alice:looking-glass", nil)
	send(service(otelauth.Config{Verifier: down{}}), "/orders/7", "alice:wonderland", nil)

	// A public pattern opens a more specific route, which the Middleware does not know beforehand.
	unnamed := otelauth.RouteFunc(func(*http.Request) string { return "" })
	opened, err := otelauth.New(otelauth.Config{
		Accounts: users, Routes: unnamed, Public: []string{"GET /orders/{id}"},
		TracerProvider: rec.TracerProvider(), MeterProvider: rec.MeterProvider(), LoggerProvider: rec.LoggerProvider(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = opened.Close() })
	special := http.NewServeMux()
	special.HandleFunc("GET /orders/all", func(http.ResponseWriter, *http.Request) {})
	send(opened.Wrap(special), "/orders/all", "", nil)

	// Repeated events are folded, and Close emits the rest.
	rarely := audit.Events{Success: audit.FirstSuccess, Burst: 1, Every: time.Hour}
	for _, cfg := range []otelauth.Config{{Accounts: users, Events: rarely}, {Verifier: down{}, Events: rarely}} {
		h := service(cfg)
		for range 2 {
			send(h, "/orders/7", "alice:wonderland", nil)
			send(h, "/orders/7", "alice:looking-glass", nil)
		}
		for _, verb := range []string{"clear", "allow", "deny", "forget", "undo"} {
			made.Notice(attempt.Notice{
				Kind: attempt.OperatorAct, Time: time.Now(), Actor: "carol", Why: "ticket 7", UserHash: "k1:00",
				Network: netip.MustParsePrefix("192.0.2.7/32"),
				Act:     attempt.Act{ID: "5f0c3a9be1d24a77", Verb: verb, Undoes: "0af7651916cd43dd", Until: time.Now().Add(time.Hour)},
			})
		}
		if err := made.Close(); err != nil {
			t.Fatal(err)
		}
	}

	busy := &blocked{entered: make(chan struct{}), leave: make(chan struct{})}
	full := service(otelauth.Config{Verifier: busy, Gate: verify.NewGate(verify.Limits{Slots: 1, MaxWait: 1})})
	done := make(chan struct{})
	go func() {
		defer close(done)
		send(full, "/orders/7", "alice:wonderland", nil)
	}()
	<-busy.entered
	send(full, "/orders/7", "alice:looking-glass", nil)
	close(busy.leave)
	<-done
	if err := users.Reload(); err != nil {
		t.Fatal(err)
	}
	write("alice\n")
	if err := users.Reload(); err == nil {
		t.Fatal("a broken file was taken")
	}

	attacks(t, rec, func(observers []attempt.Observer) func(from string, authorization string) {
		h := service(otelauth.Config{
			Accounts: users, Observers: observers,
			Throttle: throttle.DangerouslyNone{}, Sensitive: []string{"GET /orders/{id}"},
		})
		return func(from, authorization string) {
			send(h, "/orders/7", authorization, func(r *http.Request) *http.Request {
				r.RemoteAddr, r.TLS = from+":40000", &tls.ConnectionState{}
				return r
			})
		}
	})
	budgets(t, rec)
	return rec
}

// attacks causes detections of each severity and phase and with each attribute, and has one
// Detector that cannot keep up.
func attacks(t *testing.T, rec *otelauthtest.Recorder, service func([]attempt.Observer) func(from, authorization string)) {
	t.Helper()
	detector := func(cfg detect.Config) *detect.Detector {
		t.Helper()
		cfg.TracerProvider, cfg.MeterProvider, cfg.LoggerProvider = rec.TracerProvider(), rec.MeterProvider(), rec.LoggerProvider()
		d, err := detect.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	// Two wrong passwords are a brute force (high), or one at a sensitive endpoint (medium).
	quick := detector(detect.Config{
		Thresholds: detect.Thresholds{BruteForcePasswords: 2, RunBeforeSuccess: 2, SensitiveDenials: 2}, Locator: globe{},
	})
	slow := detector(detect.Config{Queue: 2})
	send := service([]attempt.Observer{quick, slow})
	journey(t, detector)
	for i := range detect.MaxEpisodes + 1 {
		for _, password := range []string{"looking-glass", "jabberwocky"} {
			send(fmt.Sprintf("192.0.%d.1", i), "alice:"+password)
		}
		if i == 0 {
			send("192.0.0.1", "alice:wonderland") // a takeover, which is part of the brute force
		}
	}
	now := time.Now()
	quick.Drain(now)
	memory(t, rec, detector)
	quick.Drain(now.Add(30 * 24 * time.Hour)) // all attacks are over
	slow.Drain(now)
	if slow.Dropped() == 0 {
		t.Fatal("the queue was never full")
	}
}

// memory causes the notices of detection about what it keeps: of a table that is half full and
// then loses state, and of a broken snapshot.
func memory(t *testing.T, rec *otelauthtest.Recorder, detector func(detect.Config) *detect.Detector) {
	t.Helper()
	broken := filepath.Join(t.TempDir(), "detect.state")
	if err := os.WriteFile(broken, []byte("no snapshot"), 0o600); err != nil {
		t.Fatal(err)
	}
	events, err := audit.New(audit.Config{LoggerProvider: rec.LoggerProvider()})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	d := detector(detect.Config{
		Notice: events.Notice, Entries: 64, Snapshot: detect.Snapshot{File: broken, Key: []byte("a key of a test, 32 bytes or more")},
		Now: func() time.Time { return now },
	})
	for i := range 1200 {
		if i == 66 {
			d.Drain(now.Add(time.Hour)) // half full
		}
		req := attempt.Request{Time: now, Client: netip.MustParseAddr(fmt.Sprintf("10.%d.%d.1", i>>8, i&0xff))}
		if err := d.Decide(t.Context(), &req, &attempt.Result{Outcome: attempt.Success, UserName: fmt.Sprint("user", i)}); err != nil {
			t.Fatal(err)
		}
	}
	d.Drain(now.Add(2 * time.Hour))
}

// journey causes an impossible journey, of an account that is known for days.
func journey(t *testing.T, detector func(detect.Config) *detect.Detector) {
	t.Helper()
	now := time.Now()
	start := now.Add(-8 * 24 * time.Hour)
	d := detector(detect.Config{Locator: globe{}, Now: func() time.Time { return start }})
	for _, at := range []struct {
		time time.Time
		from string
	}{{start, "10.0.0.1"}, {now.Add(-time.Minute), "10.0.0.1"}, {now, "100.0.0.1"}} {
		req := attempt.Request{Time: at.time, Client: netip.MustParseAddr(at.from)}
		if err := d.Decide(t.Context(), &req, &attempt.Result{Outcome: attempt.Success, UserName: "alice"}); err != nil {
			t.Fatal(err)
		}
	}
	d.Drain(now)
}

// budgets causes the notices of throttles: by an operator, by a broken snapshot, and by a Redis
// that fails and recovers.
func budgets(t *testing.T, rec *otelauthtest.Recorder) {
	t.Helper()
	events, err := audit.New(audit.Config{LoggerProvider: rec.LoggerProvider()})
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("a key of a test, 32 bytes or more")

	own, err := throttle.New(throttle.Config{Key: key, Notice: events.Notice})
	if err != nil {
		t.Fatal(err)
	}
	subject := throttle.Subject{Account: "alice", Network: netip.MustParsePrefix("192.0.2.7/32")}
	if err := own.Clear(t.Context(), subject, throttle.Act{By: "carol", Why: "ticket 7"}); err != nil {
		t.Fatal(err)
	}

	broken := filepath.Join(t.TempDir(), "budgets")
	if err := os.WriteFile(broken, []byte("no snapshot"), 0o600); err != nil {
		t.Fatal(err)
	}
	memory, err := throttle.NewMemory(throttle.MemoryConfig{
		Bytes: 1 << 20, SnapshotFile: broken, SnapshotKey: key, Notice: events.Notice,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = memory.Close() })

	server, back := new(fakeRedis), make(chan struct{})
	client := redis.NewClient(&redis.Options{})
	client.AddHook(server)
	t.Cleanup(func() { _ = client.Close() })
	store, err := redisstore.New(redisstore.Config{
		Client: client, Fallback: memory, ProbeEvery: time.Millisecond,
		Notice: func(ctx context.Context, n attempt.Notice) {
			events.Notice(ctx, n)
			if n.Err == nil {
				close(back)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	shared, err := throttle.New(throttle.Config{Store: store, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	for store.Shared() {
		g := throttle.Guess{Account: "alice", Network: subject.Network}
		if d, err := shared.Spend(t.Context(), g); err != nil || d.Verdict != throttle.Granted {
			t.Fatal("a guess was not granted while Redis was away: ", err)
		}
		shared.Settle(t.Context(), g, throttle.Unjudged)
	}
	server.up.Store(true)
	<-back

	// The tests of redisfeed cause these events with a real server.
	events.Notice(t.Context(), attempt.Notice{Kind: attempt.DetectionFeed, Err: errors.New("redisfeed: no answer")})
	events.Notice(t.Context(), attempt.Notice{Kind: attempt.DetectionFeed})
}
