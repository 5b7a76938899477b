// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/internal/testkit"
)

// A relay is a fixed address in front of a collector whose own address is not known beforehand. It
// copies bytes.
type relay struct {
	address string

	mu     sync.Mutex
	target string
	conns  []net.Conn
}

func newRelay(t testing.TB) *relay {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{address: l.Addr().String()}
	t.Cleanup(func() { _ = l.Close(); r.cut() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go r.copy(in)
		}
	}()
	return r
}

func (r *relay) copy(in net.Conn) {
	defer func() { _ = in.Close() }()
	r.mu.Lock()
	target := r.target
	r.mu.Unlock()
	out, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = out.Close() }()
	r.mu.Lock()
	r.conns = append(r.conns, in, out)
	r.mu.Unlock()
	go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
	_, _ = io.Copy(in, out)
}

func (r *relay) to(target string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.target = target
}

// cut closes open connections.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
}

// tiers is one agent in front of two samplers, each with a backend of its own.
type tiers struct {
	agent    *collectortest.Collector
	samplers [2]*collectortest.Collector
	sinks    [2]*collectortest.Sink
	relays   [2]*relay
}

func startTiers(t testing.TB, samplePercent string) *tiers {
	t.Helper()
	certFile, keyFile := testkit.NewCertificate(t, "localhost", "127.0.0.1").Write(t, t.TempDir())
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(overlayToken), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &tiers{}
	var addresses []string
	for i := range s.samplers {
		s.sinks[i], s.relays[i] = collectortest.NewSink(t), newRelay(t)
		env := map[string]string{
			"OTELAUTH_COLLECTOR_TOKEN_FILE": token, "OTELAUTH_COLLECTOR_SAMPLE_PERCENT": samplePercent,
			"OTELAUTH_COLLECTOR_CERT_FILE": certFile, "OTELAUTH_COLLECTOR_KEY_FILE": keyFile,
			"OTLP_ENDPOINT": s.sinks[i].HTTP,
		}
		maps.Copy(env, quick)
		s.samplers[i] = collectortest.Start(t, collectortest.Options{Configs: []string{"base.yaml", "tls.yaml", "scale/sampler.yaml", "backends/otlp.yaml"}, Env: env})
		s.relays[i].to(s.samplers[i].Address + ":" + collectortest.PortGRPC)
		addresses = append(addresses, s.relays[i].address)
	}
	s.agent = collectortest.Start(t, collectortest.Options{Configs: []string{"base.yaml", "scale/agent.yaml"}, Env: map[string]string{
		"OTELAUTH_COLLECTOR_SAMPLERS": strings.Join(addresses, ","), "OTELAUTH_COLLECTOR_SAMPLER_ANY": addresses[0], "OTELAUTH_COLLECTOR_SAMPLER_TOKEN_FILE": token,
		"OTELAUTH_COLLECTOR_SAMPLER_CA_FILE": certFile,
	}})
	return s
}

// send sends n traces, with the two spans of each in separate requests, and returns their ids.
func (s *tiers) send(t testing.TB, n int, attributes map[string]string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	for range n {
		server, auth := splitTrace(collectortest.Trace(attributes))
		ids[traceIDs(server)[0]] = true
		s.agent.HTTP().MustTraces(t, server)
		s.agent.HTTP().MustTraces(t, auth)
	}
	return ids
}

// spans returns how many spans of each of these traces each backend has.
func (s *tiers) spans(ids map[string]bool) [2]map[string]int {
	var seen [2]map[string]int
	for i, sink := range s.sinks {
		seen[i] = map[string]int{}
		for _, span := range sink.Spans() {
			if id := span.TraceID().String(); ids[id] {
				seen[i][id]++
			}
		}
	}
	return seen
}

// whole waits until both backends together have every trace, and checks that each trace is
// complete at one sampler.
func (s *tiers) whole(t testing.TB, ids map[string]bool) [2]map[string]int {
	t.Helper()
	var seen [2]map[string]int
	collectortest.Wait(t, func() bool {
		seen = s.spans(ids)
		for id := range ids {
			if seen[0][id]+seen[1][id] < 2 {
				return false
			}
		}
		return true
	}, "%d whole traces", len(ids))
	for id := range ids {
		if seen[0][id] != 0 && seen[1][id] != 0 {
			t.Errorf("trace %s is split: %d and %d spans", id, seen[0][id], seen[1][id])
		}
	}
	return seen
}

// Every trace is complete at one sampler, though its spans arrive one by one. Both samplers have
// work. Traces without a denial are sampled away, but security events never are.
func TestTiersKeepTracesWhole(t *testing.T) {
	t.Parallel()
	s := startTiers(t, "0")
	plain := s.send(t, 20, map[string]string{"auth.outcome": "success"})
	denied := s.send(t, 40, map[string]string{"auth.outcome": "failure"})
	for range 20 {
		s.agent.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 5))
	}
	metrics, _ := testMetrics(time.Now().Add(-time.Minute), 2)
	s.agent.HTTP().MustMetrics(t, metrics)

	seen := s.whole(t, denied)
	if len(seen[0]) == 0 || len(seen[1]) == 0 {
		t.Errorf("the samplers got %d and %d traces", len(seen[0]), len(seen[1]))
	}
	var events int
	collectortest.Wait(t, func() bool {
		events = len(s.sinks[0].LogRecords()) + len(s.sinks[1].LogRecords())
		return events >= 100
	}, "100 events")
	if events != 100 {
		t.Errorf("%d events, want 100", events)
	}
	attempts := func(sink *collectortest.Sink, name string) (n int) {
		for _, m := range sink.AllMetrics() {
			if m.Name() == name {
				n++
			}
		}
		return n
	}
	collectortest.Wait(t, func() bool { return attempts(s.sinks[0], "auth.attempts")+attempts(s.sinks[1], "auth.attempts") == 1 }, "one sum, once")
	// A sampler has decided about the plain traces when later traces have arrived.
	s.whole(t, s.send(t, 20, map[string]string{"auth.outcome": "failure"}))
	for i, traces := range s.spans(plain) {
		if len(traces) != 0 {
			t.Errorf("sampler %d kept %d traces that no rule keeps", i, len(traces))
		}
	}
	// The agent has counted the spans before any sampling. The samplers do not count them again.
	collectortest.Wait(t, func() bool {
		return attempts(s.sinks[0], "traces.span.metrics.calls")+attempts(s.sinks[1], "traces.span.metrics.calls") > 0
	}, "span metrics")
}

// When a sampler is killed, the other one continues. The traces of the dead one wait in the agent,
// and arrive complete when it is back. None goes to the wrong sampler. Events wait on the agent's
// disk, so they also survive kill -9 of the agent. Its traces do not.
func TestSamplerKilled(t *testing.T) {
	t.Parallel()
	s := startTiers(t, "0")
	s.whole(t, s.send(t, 20, map[string]string{"auth.outcome": "failure"}))
	kill := func() {
		s.samplers[0].Kill()
		s.relays[0].cut()
	}

	kill()
	during := s.send(t, 40, map[string]string{"auth.outcome": "failure"})
	s.agent.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 20))
	var alive int
	collectortest.Wait(t, func() bool {
		alive = 0
		for _, spans := range s.spans(during)[1] {
			if spans == 2 {
				alive++
			}
		}
		return alive >= 5
	}, "traces at the running sampler")
	if dead := len(s.spans(during)[0]); dead != 0 || alive == len(during) {
		t.Errorf("%d traces at the running sampler and %d at the killed one, of %d", alive, dead, len(during))
	}
	s.samplers[0].Start(t)
	s.whole(t, during)
	s.sinks[0].WaitLogs(t, 20)

	kill()
	s.agent.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 30))
	s.agent.Kill()
	s.agent.Start(t)
	s.samplers[0].Start(t)
	s.sinks[0].WaitLogs(t, 50)
	for seq := range 20 { // 20 and 30 events, numbered from 0 each
		if n := collectortest.Seq(s.sinks[0].LogRecords())[seq]; n < 2 {
			t.Errorf("event %d came %d times", seq, n)
		}
	}
}
