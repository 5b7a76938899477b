// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package compare_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/examples/compare/measure"
	"github.com/otelauth/otelauth-go/examples/compare/peers"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// response is a minimal ResponseWriter. The recorder of httptest would dominate the cost of some
// rows.
type response struct {
	header http.Header
	code   int
}

func (w *response) Header() http.Header { return w.header }

func (w *response) Write(p []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return len(p), nil
}

func (w *response) WriteHeader(code int) { w.code = code }

// reset makes w ready for the next request.
func (w *response) reset() {
	clear(w.header)
	w.code = 0
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello\n") })

var nothing = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

func newUsers(b *testing.B, cost int) []peers.User {
	b.Helper()
	users, err := peers.NewUsers(cost, "alice")
	if err != nil {
		b.Fatal(err)
	}
	return users
}

func newService(b *testing.B, p peers.Peer, users []peers.User, next http.Handler) *peers.Service {
	b.Helper()
	s, err := p.New(users, next)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

// newRequest returns a request with user's right credentials, as net/http's server would pass it.
// It arrived over TLS from another machine of the same network: for plaintext, otelauth makes
// extra checks.
func newRequest(b *testing.B, path string, user peers.User) *http.Request {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Host, r.RequestURI, r.RemoteAddr = "orders.example", path, "10.20.30.40:49152"
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true}
	r.Header.Set("User-Agent", "compare/1.0")
	r.Header.Set("Accept", "*/*")
	user.Authorize(r)
	return r
}

// measured runs op in the benchmark's loop and reports CPU time beside wall time. So a peer that
// continues in another goroutine, or leaves garbage behind, does not look fast.
func measured(b *testing.B, op func()) {
	b.Helper()
	b.ReportAllocs()
	before := measure.ProcessCPU()
	for b.Loop() {
		op()
	}
	b.ReportMetric(float64(measure.ProcessCPU()-before)/float64(b.N), "cpu-ns/op")
}

// served measures requests one after the other. It fails unless each gets the status.
func served(b *testing.B, h http.Handler, r *http.Request, status int) {
	b.Helper()
	w := &response{header: make(http.Header)}
	h.ServeHTTP(w, r)
	measured(b, func() {
		w.reset()
		h.ServeHTTP(w, r)
	})
	if w.code != status {
		b.Fatalf("status %d, want %d", w.code, status)
	}
}

// BenchmarkVerify measures the verification of a credential that was verified before, without the
// rest of the handler. The toolkit has no entry point for that, so its handler runs around a
// handler that does nothing.
func BenchmarkVerify(b *testing.B) {
	for _, p := range peers.All() {
		b.Run(p.Name, func(b *testing.B) {
			users := newUsers(b, bcrypt.DefaultCost)
			s := newService(b, p, users, nothing)
			r := newRequest(b, "/", users[0])
			verify := s.Verify
			if verify == nil {
				w := &response{header: make(http.Header)}
				verify = func(r *http.Request) bool {
					w.reset()
					s.Handler.ServeHTTP(w, r)
					return w.code == 0
				}
				r = s.Request(r)
			}
			if !verify(r) {
				b.Fatal("the right credentials are refused")
			}
			measured(b, func() { verify(r) })
		})
	}
}

// BenchmarkHandler measures a whole request with right credentials. Peers with a cache have
// verified them before.
func BenchmarkHandler(b *testing.B) {
	for _, p := range peers.All() {
		b.Run(p.Name, func(b *testing.B) {
			users := newUsers(b, bcrypt.DefaultCost)
			s := newService(b, p, users, hello)
			served(b, s.Handler, s.Request(newRequest(b, "/", users[0])), http.StatusOK)
		})
	}
}

// BenchmarkMiss measures a credential that was never seen before, at the lowest bcrypt cost.
// There, what the verifier adds to the hash is larger than the noise. "raw" is the hash alone.
func BenchmarkMiss(b *testing.B) {
	b.Run("raw", func(b *testing.B) {
		users := newUsers(b, bcrypt.MinCost)
		hash := []byte(users[0].Hash)
		r, n := newRequest(b, "/", users[0]), 0
		measured(b, func() {
			n++
			pw := "guess-" + strconv.Itoa(n)
			// the loop below makes requests too, so their cost cancels out
			r.SetBasicAuth("alice", pw)
			_ = bcrypt.CompareHashAndPassword(hash, []byte(pw))
		})
	})
	for _, p := range peers.All() {
		if !p.Hashed {
			continue
		}
		b.Run(p.Name, func(b *testing.B) {
			users := newUsers(b, bcrypt.MinCost)
			s := newService(b, p, users, nothing)
			r, n := s.Request(newRequest(b, "/", users[0])), 0
			w := &response{header: make(http.Header)}
			measured(b, func() {
				n++
				w.reset()
				r.SetBasicAuth("alice", "guess-"+strconv.Itoa(n))
				s.Handler.ServeHTTP(w, r)
			})
			if w.code != http.StatusUnauthorized {
				b.Fatalf("status %d, want 401", w.code)
			}
		})
	}
}

// BenchmarkMissOverhead is BenchmarkMiss with a hash that costs almost nothing. What remains is
// what a miss adds: cache, gate, coalescing, decoy and answer. "raw" is that hash alone.
func BenchmarkMissOverhead(b *testing.B) {
	const digest = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=" // of "password"
	policy := password.Policy{DangerouslyAllowLegacy: true}
	user := peers.User{Name: "alice", Password: "password"}
	b.Run("raw", func(b *testing.B) {
		hash, err := policy.Parse(digest)
		if err != nil {
			b.Fatal(err)
		}
		r, n := newRequest(b, "/", user), 0
		measured(b, func() {
			n++
			pw := "guess-" + strconv.Itoa(n)
			r.SetBasicAuth("alice", pw)
			hash.Verify([]byte(pw))
		})
	})
	b.Run("otelauth", func(b *testing.B) {
		cfg := peers.OtelauthConfig(nil)
		cfg.Accounts = &verify.Static{Hashes: map[string]string{"alice": digest}, Policy: policy}
		mw, err := otelauth.New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		r, n := newRequest(b, "/", user), 0
		var denied int
		measured(b, func() {
			n++
			r.SetBasicAuth("alice", "guess-"+strconv.Itoa(n))
			if _, res := mw.Authenticate(r); res.Reason == attempt.ReasonWrongPassword {
				denied++
			}
		})
		if denied != n {
			b.Fatalf("%d of %d guesses were judged wrong", denied, n)
		}
	})
}

// BenchmarkOTel compares otelauth inside otelhttp with otelhttp alone, with the same SDK. It
// covers traces that are sampled always and never, routes of a ServeMux (whose pattern the signals
// need) and no routes, and runs with and without the event.
func BenchmarkOTel(b *testing.B) {
	for _, sampled := range []bool{true, false} {
		for _, routed := range []bool{false, true} {
			for _, variant := range []string{"otelhttp", "otelauth", "otelauth+event"} {
				name := fmt.Sprintf("%s/%s/%s",
					map[bool]string{true: "always", false: "never"}[sampled],
					map[bool]string{true: "mux", false: "plain"}[routed], variant)
				b.Run(name, func(b *testing.B) { benchmarkOTel(b, sampled, routed, variant) })
			}
		}
	}
}

func benchmarkOTel(b *testing.B, sampled, routed bool, variant string) {
	b.Helper()
	users := newUsers(b, bcrypt.DefaultCost)
	sdk := peers.NewTelemetry(sampled)
	b.Cleanup(func() {
		if err := sdk.Shutdown(); err != nil {
			b.Error(err)
		}
	})
	// The floor has the option too: otelhttp clones the request for it in each case.
	options := append(sdk.OTelHTTP(), otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return false }))
	cfg := peers.OtelauthConfig(users)
	var next http.Handler = hello
	if routed {
		mux := http.NewServeMux()
		mux.Handle("GET /orders/{id}", hello)
		next, cfg.Routes = mux, mux
	}
	if variant != "otelhttp" {
		var loggers log.LoggerProvider = lognoop.NewLoggerProvider()
		if variant == "otelauth+event" {
			loggers = sdk.Loggers
		}
		cfg.Observers = nil // of the providers
		cfg.TracerProvider, cfg.MeterProvider, cfg.LoggerProvider = sdk.Tracers, sdk.Meters, loggers
		mw, err := otelauth.New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := mw.Close(); err != nil {
				b.Error(err)
			}
		})
		next = mw.Wrap(next)
		options = append(options, otelhttp.WithPublicEndpointFn(mw.Untrusted))
	}
	served(b, otelhttp.NewHandler(next, "compare", options...), newRequest(b, "/orders/1", users[0]), http.StatusOK)
	if err := sdk.Flush(); err != nil {
		b.Fatal(err)
	}
	// Dropped spans and events are cheap, so these figures show whether the row can be believed.
	// The SDK's server spans count too.
	b.ReportMetric(float64(sdk.Spans.Load())/float64(b.N), "spans/op")
	b.ReportMetric(float64(sdk.Events.Load())/float64(b.N), "events/op")
}
