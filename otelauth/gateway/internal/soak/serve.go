// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/gateway"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// state is the report of the gateway process.
type state struct {
	Goroutines, Descriptors int
	HeapBytes               uint64 // after a collection
	// Events counts attempt events, and PublicEvents those of public responses. A folded event
	// counts for all it covers.
	Events, PublicEvents int64
	// Attempts and Public are the metrics, Spans the number of server spans.
	Attempts, Public, Spans          int64
	StreamsEnded, Certificates, Cut  int64
	Reloads, ReloadsFailed, Unparsed int64
	Error                            string // of the last command
}

// Short limits of the gateway.
const (
	maxStreamAge = 2 * time.Second
	patienceWith = 2 * time.Second // with slow clients
)

// tally counts events and spans synchronously: nothing is sampled or dropped.
type tally struct {
	mu                   sync.Mutex
	events, public, span int64
}

func (t *tally) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

func (t *tally) OnEmit(_ context.Context, rec *sdklog.Record) error {
	count, of := int64(1), rec.EventName()
	if of == semconv.EventEventsSuppressed {
		rec.WalkAttributes(func(kv attribute.KeyValue) bool {
			switch kv.Key {
			case semconv.KeyEventsSuppressedCount:
				count = kv.Value.AsInt64()
			case semconv.KeyEventsSuppressedEvent:
				of = kv.Value.AsString()
			}
			return true
		})
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch of {
	case semconv.EventAttempt:
		t.events += count
	case semconv.EventPublicResponse:
		t.public += count
	}
	return nil
}

func (t *tally) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (t *tally) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.SpanKind() == trace.SpanKindServer {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.span++
	}
}

func (*tally) Shutdown(context.Context) error   { return nil }
func (*tally) ForceFlush(context.Context) error { return nil }

// service is the gateway process. It reads one command a line: "stats", "reload" or "end".
type service struct {
	dir, upstream string
	tally         tally
	reader        *sdkmetric.ManualReader
	traces        *sdktrace.TracerProvider
	meters        *sdkmetric.MeterProvider
	logs          *sdklog.LoggerProvider
	users         *htpasswd.File
	gw            *gateway.Gateway
	reloads       int
}

func serve(dir, upstream string, stdin io.Reader, stdout io.Writer) error {
	s := &service{dir: dir, upstream: upstream, reader: sdkmetric.NewManualReader()}
	s.traces = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(&s.tally))
	s.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	s.logs = sdklog.NewLoggerProvider(sdklog.WithProcessor(&s.tally), sdklog.WithAllowKeyDuplication())
	var err error
	if s.users, err = s.open(); err != nil {
		return err
	}
	if s.gw, err = gateway.New(s.config(s.users)); err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- s.gw.Serve(ctx, l) }()
	if _, err := fmt.Fprintln(stdout, l.Addr()); err != nil {
		return fmt.Errorf("soak: %w", err)
	}
	out := json.NewEncoder(stdout)
	for in := bufio.NewScanner(stdin); in.Scan(); {
		var failed error
		switch in.Text() {
		case "reload":
			failed = s.reload()
		case "end":
			cancel()
			failed = <-served
			if err := s.gw.Shutdown(context.Background()); failed == nil {
				failed = err
			}
		}
		st := s.state()
		if failed != nil {
			st.Error = failed.Error()
		}
		if err := out.Encode(st); err != nil {
			return fmt.Errorf("soak: %w", err)
		}
	}
	return nil
}

func (s *service) open() (*htpasswd.File, error) {
	return htpasswd.Open(htpasswd.Config{Path: filepath.Join(s.dir, usersFile), Groups: filepath.Join(s.dir, groupsFile)})
}

func (s *service) config(users *htpasswd.File) gateway.Config {
	rules := []gateway.Rule{
		{Pattern: "GET /public/", Access: gateway.Public},
		{Pattern: "/admin/", Groups: []string{"ops"}, Sensitive: true},
		{Pattern: "/private/"},
		// so that every change compiles new rules
		{Pattern: fmt.Sprintf("/generation/%d/", s.reloads%2), Groups: []string{"ops"}},
	}
	return gateway.Config{
		Upstream: s.upstream, Rules: rules,
		CertFile: filepath.Join(s.dir, certFile), KeyFile: filepath.Join(s.dir, keyFile),
		MaxStreamAge: maxStreamAge, ReadHeaderTimeout: patienceWith, StallTimeout: patienceWith, IdleTimeout: time.Minute,
		Auth: otelauth.Config{
			Realm: "soak", Accounts: users, CacheEntries: 1024, IdentityKey: otelauth.IdentityKey{ID: "soak", Secret: make([]byte, 32)},
			TracerProvider: s.traces, MeterProvider: s.meters, LoggerProvider: s.logs,
		},
	}
}

// reload alternates between reloading the accounts and replacing the configuration with another
// store.
func (s *service) reload() error {
	s.reloads++
	if s.reloads%2 == 1 {
		return s.users.Reload()
	}
	next, err := s.open()
	if err != nil {
		return err
	}
	if err := s.gw.Reconfigure(s.config(next)); err != nil {
		_ = next.Close()
		return err
	}
	previous := s.users
	s.users = next
	return previous.Close()
}

func (s *service) state() state {
	runtime.GC()
	runtime.GC() // frees what finalizers and pools kept
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	st := state{Goroutines: runtime.NumGoroutine(), HeapBytes: mem.HeapAlloc}
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		st.Descriptors = len(files) // elsewhere 0, which never grows
	}
	s.tally.mu.Lock()
	st.Events, st.PublicEvents, st.Spans = s.tally.events, s.tally.public, s.tally.span
	s.tally.mu.Unlock()
	var all metricdata.ResourceMetrics
	if err := s.reader.Collect(context.Background(), &all); err != nil {
		st.Error = err.Error()
		return st
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			sum, ok := m.Data.(metricdata.Sum[int64])
			if !ok {
				continue
			}
			for _, p := range sum.DataPoints {
				_, failed := p.Attributes.Value("error.type")
				switch m.Name {
				case semconv.MetricAttempts:
					st.Attempts += p.Value
				case semconv.MetricPublicResponses:
					st.Public += p.Value
				case semconv.MetricGatewayStreamsEnded:
					st.StreamsEnded += p.Value
				case semconv.MetricGatewayUnparsed:
					st.Unparsed += p.Value
				case semconv.MetricGatewayUpstreamErrors:
					st.Cut += p.Value
				case semconv.MetricGatewayCertificateReloads:
					if !failed {
						st.Certificates += p.Value
					}
				case semconv.MetricAccountReloads:
					if failed {
						st.ReloadsFailed += p.Value
					} else {
						st.Reloads += p.Value
					}
				}
			}
		}
	}
	return st
}

// String returns one line of progress.
func (st state) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d goroutines, %d descriptors, %.1f MiB, %d attempts, %d events, %d reloads, %d certificates, %d streams ended, %d upstream errors, %d unparsed",
		st.Goroutines, st.Descriptors, float64(st.HeapBytes)/(1<<20), st.Attempts, st.Events, st.Reloads, st.Certificates, st.StreamsEnded, st.Cut, st.Unparsed)
	return b.String()
}
