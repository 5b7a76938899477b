// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/collector-config/e2e/service"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// huge is the size of one header of a hostile request. The gateway accepts 64 KiB for all headers.
const huge = 62 << 10

// hostileHeaders are the ways to make a request large. Each value is sent in a request of its own.
var hostileHeaders = []struct {
	name  string
	shape func(*http.Request)
}{
	{"user agent", func(r *http.Request) { r.Header.Set("User-Agent", strings.Repeat("A", huge)) }},
	{"user agent of 4-byte characters", func(r *http.Request) { r.Header.Set("User-Agent", strings.Repeat("😀", huge/4)) }},
	{"user agent that is not UTF-8", func(r *http.Request) { r.Header.Set("User-Agent", strings.Repeat("\xff", huge)) }},
	{"path", func(r *http.Request) { r.URL.Path += strings.Repeat("p", huge) }},
	{"path of 4-byte characters", func(r *http.Request) { r.URL.Path += strings.Repeat("😀", 600) }},
	{"query", func(r *http.Request) { r.URL.RawQuery = strings.Repeat("q", huge) }},
	{"host", func(r *http.Request) { r.Host = strings.Repeat("h", huge) }},
	{"forwarded for", func(r *http.Request) { r.Header.Set("X-Forwarded-For", strings.Repeat("f", huge)) }},
	{"forwarded for, a list", func(r *http.Request) { r.Header.Set("X-Forwarded-For", strings.Repeat("198.51.100.9, ", huge/14)) }},
	{"referer", func(r *http.Request) { r.Header.Set("Referer", "http://"+strings.Repeat("r", huge)) }},
	{"user name", func(r *http.Request) { r.SetBasicAuth(strings.Repeat("u", huge/2), "x") }},
	{"request id", func(r *http.Request) { r.Header.Set("X-Request-Id", strings.Repeat("i", huge)) }},
	{"method", func(r *http.Request) { r.Method = strings.Repeat("M", 8<<10) }},
	{"tracestate", func(r *http.Request) {
		members := make([]string, 32)
		for i := range members {
			members[i] = fmt.Sprintf("k%d%s=%s", i, strings.Repeat("k", 240), strings.Repeat("v", 250))
		}
		r.Header.Set("Traceparent", fmt.Sprintf("00-%032x-b7ad6b7169203331-01", callerTraces.Add(1)))
		r.Header.Set("Tracestate", strings.Join(members, ","))
	}},
	{"baggage", func(r *http.Request) { r.Header.Set("Baggage", "k="+strings.Repeat("b", 8000)) }},
}

// callerTraces numbers the trace ids of the hostile callers.
var callerTraces atomic.Int64

// flooded is a server under test.
type flooded struct {
	url string
	end func() // returns when everything is exported
}

// startGateway runs the real command in front of a service, with OTLP to endpoint.
func startGateway(t *testing.T, command, endpoint, token string, env ...string) flooded {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(upstream.Close)
	hash, err := password.Params{MemoryKiB: 64, Passes: 1}.Hash([]byte("wonderland-4711"), nil)
	if err != nil {
		t.Fatal(err)
	}
	users := filepath.Join(t.TempDir(), "users.htpasswd")
	if err := os.WriteFile(users, []byte("alice:"+hash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), command, "gateway",
		"--upstream", upstream.URL, "--listen", "127.0.0.1:0", "--users", users)
	cmd.Env = append([]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
		"OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20" + token, "OTEL_METRIC_EXPORT_INTERVAL=500",
	}, env...)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening, ended, said := make(chan string, 1), make(chan struct{}), new(bytes.Buffer)
	go func() {
		defer close(ended)
		lines := json.NewDecoder(io.TeeReader(out, said))
		for {
			var line struct{ Msg, Address string }
			if lines.Decode(&line) != nil {
				break
			}
			if line.Msg == "gateway.listening" {
				listening <- line.Address
			}
		}
		_, _ = io.Copy(said, out)
		_ = cmd.Wait()
	}()
	end := sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(collectortest.Deadline, func() { _ = cmd.Process.Kill() })
		<-ended
		late.Stop()
		if strings.Contains(said.String(), `"msg":"telemetry"`) {
			t.Errorf("the gateway could not export everything: %.2000s", said)
		}
	})
	t.Cleanup(end)
	select {
	case address := <-listening:
		return flooded{"http://" + address, end}
	case <-ended:
		t.Fatalf("the gateway ended at start: %s", said)
	case <-time.After(collectortest.Deadline):
		t.Fatal("the gateway does not listen")
	}
	return flooded{}
}

// gatewayCommand builds the command.
func gatewayCommand(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "otelauth")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./otelauth/cmd/otelauth")
	build.Dir = filepath.Join(collectortest.ConfigDir(), "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// startService runs a service with the library, configured as in docs/telemetry-limits.md.
func startService(t *testing.T, endpoint, token string) flooded {
	t.Helper()
	s := service.Start(t, service.Config{Collector: endpoint, Token: token, Events: audit.Events{DangerouslyUnfolded: true}})
	return flooded{s.URL, func() {
		if err := s.Shutdown(); err != nil {
			t.Errorf("the service could not export everything: %v", err)
		}
		for _, id := range s.GivenUp() {
			t.Errorf("the event of trace %s was not delivered", id)
		}
	}}
}

// flood sends rounds of hostile requests, and after each round an honest one. It returns how many
// requests the handler answered. The others were refused by net/http, some of them before there is
// any telemetry.
func (f flooded) flood(t *testing.T, rounds int) (handled, honest int) {
	t.Helper()
	client := &http.Client{Timeout: collectortest.Deadline}
	t.Cleanup(client.CloseIdleConnections)
	send := func(path string, shape func(*http.Request)) bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		shape(r)
		res, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		defer func() { _ = res.Body.Close() }()
		_, _ = io.Copy(io.Discard, res.Body)
		if r.Header.Get("User-Agent") == honestAgent(honest) && res.StatusCode != http.StatusOK && res.StatusCode != http.StatusForbidden {
			t.Errorf("honest request %d: %d", honest, res.StatusCode)
		}
		return res.Header.Get("Date") != "" // net/http's own refusals have none
	}
	// Each round repeats the first shape, so that an export without limits exceeds 4 MiB.
	shapes := append(slices.Repeat(hostileHeaders[:1], 12), hostileHeaders...)
	for range rounds {
		for _, h := range shapes {
			if send("/orders/x", h.shape) {
				handled++
			}
			if !send("/orders/7", func(r *http.Request) {
				r.Header.Set("User-Agent", honestAgent(honest))
				r.SetBasicAuth("alice", "wonderland-4711")
			}) {
				t.Errorf("honest request %d was not handled", honest)
			}
			handled++
			honest++
		}
	}
	return handled, honest
}

func honestAgent(i int) string { return collectortest.Name("honest/", i) }

// Requests with headers of 62 KB cost no other client a span, a metric point or an event, with the
// shipped collector configuration.
func TestHostileRequestsLoseNothing(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T, string, string) flooded{
		"gateway": func(t *testing.T, endpoint, token string) flooded {
			t.Helper()
			return startGateway(t, gatewayCommand(t), endpoint, token)
		},
		"library": startService,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, sink := withBackend(t)
			f := start(t, "http://"+net.JoinHostPort(c.Address, collectortest.PortHTTP), c.Token)
			const rounds = 8 // 216 hostile requests
			handled, honest := f.flood(t, rounds)
			f.end()
			var total int
			var servers map[string]int
			collectortest.Wait(t, func() bool {
				total, servers = agents(sink.Spans())
				return total >= handled
			}, "%d server spans", handled)
			if total != handled {
				t.Errorf("%d server spans, %d requests were handled", total, handled)
			}
			checkHonest(t, sink, servers, honest)
			if got := requestsCounted(sink); got != handled {
				t.Errorf("http.server.request.duration counts %d requests, want %d", got, handled)
			}
			for metric, n := range c.Scrape(t) {
				if n != 0 && (strings.Contains(metric, "_refused_") || strings.Contains(metric, "receiver_failed") || strings.Contains(metric, "dropped")) {
					t.Errorf("%s is %v", metric, n)
				}
			}
		})
	}
}

// agents counts the server spans, in total and by user agent.
func agents(spans []collectortest.Span) (total int, counts map[string]int) {
	counts = map[string]int{}
	for _, s := range spans {
		if s.Kind() != ptrace.SpanKindServer {
			continue
		}
		total++
		if agent, ok := s.Attributes().Get("user_agent.original"); ok {
			counts[agent.Str()]++
		}
	}
	return total, counts
}

// checkHonest checks that each honest request has its server span, and the event of the attempt.
func checkHonest(t *testing.T, sink *collectortest.Sink, servers map[string]int, honest int) {
	t.Helper()
	events := map[string]int{}
	collectortest.Wait(t, func() bool {
		clear(events)
		for _, r := range sink.LogRecords() {
			if agent, ok := r.Attributes().Get("user_agent.original"); ok && r.EventName() == "auth.attempt" {
				events[agent.Str()]++
			}
		}
		return len(events) >= honest
	}, "the events of %d honest requests", honest)
	for i := range honest {
		if agent := honestAgent(i); servers[agent] != 1 || events[agent] != 1 {
			t.Errorf("%s has %d server spans and %d events", agent, servers[agent], events[agent])
		}
	}
}

// requestsCounted returns the last count of otelhttp's histogram over all series.
func requestsCounted(sink *collectortest.Sink) int {
	total := 0
	for _, m := range sink.AllMetrics() {
		if m.Name() != "http.server.request.duration" {
			continue
		}
		sum := 0
		for _, p := range m.Histogram().DataPoints().All() {
			sum += int(p.Count())
		}
		total = max(total, sum)
	}
	return total
}

// The size that one hostile request adds to the signals is bounded, before any collector cuts it.
func TestBytesOfOneRequest(t *testing.T) {
	t.Parallel()
	const (
		collector = 4 << 20 // max_request_body_size of base.yaml
		// for the spans of one request; a tracestate may take 16 KB of them, once in each of two
		// spans
		spansBytes = 40 << 10
		eventBytes = 4 << 10
		pointBytes = 64 << 10 // all metrics of the process together
	)
	sink := collectortest.NewSink(t)
	f := startGateway(t, gatewayCommand(t), sink.HTTP, "unused")
	handled, _ := f.flood(t, 3)
	f.end()
	sizes := map[string]int{}
	for _, batch := range sink.Traces() {
		if n := new(ptrace.ProtoMarshaler).TracesSize(batch); n > collector*3/4 {
			t.Errorf("an export of %d spans has %d bytes, a collector accepts %d", batch.SpanCount(), n, collector)
		}
		for _, rs := range batch.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					one := ptrace.NewTraces()
					span.CopyTo(one.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty())
					sizes[span.TraceID().String()] += new(ptrace.ProtoMarshaler).TracesSize(one)
				}
			}
		}
	}
	if len(sizes) == 0 {
		t.Fatal("no span was exported")
	}
	largest := slices.Max(slices.Collect(maps.Values(sizes)))
	t.Logf("the largest trace has %d bytes", largest)
	if largest > spansBytes || len(sizes) < handled {
		t.Errorf("the spans of one request have %d bytes, more than %d; %d traces of %d requests", largest, spansBytes, len(sizes), handled)
	}
	for _, r := range sink.LogRecords() {
		one := plog.NewLogs()
		r.CopyTo(one.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords().AppendEmpty())
		if n := new(plog.ProtoMarshaler).LogsSize(one); n > eventBytes {
			t.Errorf("an event %s of %d bytes, more than %d", r.EventName(), n, eventBytes)
		}
	}
	for _, m := range sink.Metrics() {
		if n := new(pmetric.ProtoMarshaler).MetricsSize(m); n > pointBytes {
			t.Errorf("an export of metrics has %d bytes, more than %d", n, pointBytes)
		}
	}
}

// A limit that an operator sets takes precedence.
func TestLimitsOfTheEnvironmentAreKept(t *testing.T) {
	t.Parallel()
	command := gatewayCommand(t)
	for env, want := range map[string]int{
		"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=64": 64,
		"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT=2000":    2000,
		"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=-1": huge,
		"OTEL_BSP_MAX_EXPORT_BATCH_SIZE=1":          512,
	} {
		sink := collectortest.NewSink(t)
		f := startGateway(t, command, sink.HTTP, "unused", env)
		for range 3 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.url, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			hostileHeaders[0].shape(r)
			res, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
		}
		f.end()
		if _, counts := agents(sink.Spans()); len(counts) != 1 || counts[strings.Repeat("A", want)] != 3 {
			t.Errorf("%s: %d user agents, want 3 of %d bytes", env, len(counts), want)
		}
		if most := mostSpans(sink); strings.Contains(env, "BATCH") && most != 1 {
			t.Errorf("%s: an export of %d spans", env, most)
		}
	}
}

func mostSpans(sink *collectortest.Sink) (most int) {
	for _, batch := range sink.Traces() {
		most = max(most, batch.SpanCount())
	}
	return most
}
