// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/collector-config/e2e/service"
	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
	"github.com/otelauth/otelauth-go/internal/otlpreceiver/otlpserver"
	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
)

// tapped is a collector whose sampling keeps no success, with the tap, a backend and a ledger.
type tapped struct {
	ledger    *evidence.Ledger
	backend   *collectortest.Sink
	collector *collectortest.Collector
	service   *service.Service
	sent      int
}

const tapPassword = "wonderland-4711"

func startTapped(t *testing.T) *tapped {
	t.Helper()
	ledger, err := evidence.New(evidence.Config{
		Secrets: []string{tapPassword, "jabberwocky-91bc"},
		Require: []evidence.Requirement{
			evidence.Events, evidence.NoOthers, evidence.Spans, evidence.Metrics, evidence.NoSecrets, evidence.User, evidence.PrivateNames,
			evidence.Client, evidence.Method, evidence.Route, evidence.Path, evidence.Status,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server, err := otlpserver.Listen(t.Context(), otlpserver.Config{Receiver: otlpreceiver.New(otlpreceiver.Config{Sink: ledger.Export}), HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	r := &tapped{ledger: ledger, backend: collectortest.NewSink(t)}
	r.collector = collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml", "probe-tap.yaml"},
		Env: map[string]string{
			"OTLP_ENDPOINT": r.backend.HTTP, "OTELAUTH_PROBE_ENDPOINT": "http://" + server.HTTP,
			"OTELAUTH_COLLECTOR_SAMPLE_PERCENT": "0", "OTELAUTH_COLLECTOR_MISSING_PERCENT": "0", "OTELAUTH_COLLECTOR_DECISION_WAIT": "1s",
		},
	})
	r.service = service.Start(t, service.Config{Collector: r.collector.HTTP().URL, Token: r.collector.Token})
	return r
}

// attempt makes one attempt that the ledger expects.
func (r *tapped) attempt(t *testing.T, user, password, outcome string) {
	t.Helper()
	r.sent++
	trace := make([]byte, 16)
	copy(trace, fmt.Sprintf("tap-%012d", r.sent))
	x := evidence.Expectation{
		ID: fmt.Sprint(r.sent), TraceID: hex.EncodeToString(trace), AgentToken: fmt.Sprintf("tap-%d", r.sent), Outcomes: []string{outcome},
		User: user, Account: user == "alice", Method: http.MethodGet, Path: "/orders/7", Route: "/orders/{id}",
		Client: netip.MustParseAddr("198.51.100.7"), Sent: time.Now(),
	}
	if err := r.ledger.Expect(x); err != nil {
		t.Fatal(err)
	}
	answer, err := r.service.Send(x.Path, x.Client.String(), func(req *http.Request) {
		req.Header.Set("User-Agent", "tap-test "+x.AgentToken)
		req.Header.Set("Traceparent", "00-"+x.TraceID+"-0102030405060708-01")
		if user != "" {
			req.SetBasicAuth(user, password)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ledger.Answered(x.ID, evidence.Answer{Status: answer.Status, Time: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

// TestProbeTap proves each attempt of a real service through the real collector, although the
// sampling behind the tap drops the spans of all successes and of all requests without credentials.
func TestProbeTap(t *testing.T) {
	t.Parallel()
	r := startTapped(t)
	collectortest.Wait(t, r.ledger.HasBaseline, "metrics before the first attempt")
	const rounds = 10
	for range rounds {
		r.attempt(t, "", "", "missing")
		r.attempt(t, "alice", tapPassword, "success")
	}
	r.attempt(t, "alice", "jabberwocky-91bc", "failure")
	r.attempt(t, "nobody", "jabberwocky-91bc", "failure")
	if err := r.ledger.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	report := r.ledger.Judge()
	for _, j := range report.Attempts {
		if j.Verdict != evidence.Recorded {
			t.Errorf("%s is %s: %+v", j.ID, j.Verdict, j.Findings)
		}
	}
	if len(report.Findings) > 0 || len(report.Attempts) != 2*rounds+2 {
		t.Errorf("%d attempts, findings %+v", len(report.Attempts), report.Findings)
	}
	// The backend gets what base.yaml keeps: the two failures, and every event.
	r.backend.WaitLogs(t, 2*rounds+2)
	for _, s := range r.backend.WaitSpans(t, 2) {
		if o, _ := s.Attributes().Get("auth.outcome"); o.Str() == "success" {
			t.Errorf("the sampling kept the span of a success: %s", s.Name())
		}
	}
}

// TestProbeTapSeesSecrets sends a secret that base.yaml masks: the probe finds it, and the backend
// does not get it.
func TestProbeTapSeesSecrets(t *testing.T) {
	t.Parallel()
	r := startTapped(t)
	logs := collectortest.Events("app", 1)
	record := logs.ResourceLogs().At(0).ScopeLogs().At(0).LogRecords().At(0)
	record.SetTraceID(pcommon.TraceID([]byte("tap-trace-16byte")))
	record.Attributes().PutStr("http.request.header.authorization", "Basic YWxpY2U6d29uZGVybGFuZC00NzEx")
	r.collector.HTTP().MustLogs(t, logs)
	r.backend.WaitLogs(t, 1)
	if strings.Contains(string(r.backend.Bytes(t)), "YWxpY2U6d29uZGVybGFuZC00NzEx") {
		t.Error("the backend got the secret")
	}
	var report evidence.Report
	collectortest.Wait(t, func() bool { report = r.ledger.Judge(); return report.Received.Events > 0 }, "the record at the tap")
	if f := report.Findings; len(f) != 1 || f[0].Verdict != evidence.Leaked || f[0].Field != "the attribute http.request.header.authorization" {
		t.Errorf("%+v", f)
	}
}

// TestProbeTapWithoutProbe sends while no probe listens: nothing is delayed or lost.
func TestProbeTapWithoutProbe(t *testing.T) {
	t.Parallel()
	backend := collectortest.NewSink(t)
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml", "probe-tap.yaml"},
		Env:     map[string]string{"OTLP_ENDPOINT": backend.HTTP, "OTELAUTH_PROBE_ENDPOINT": "http://127.0.0.1:1"},
	})
	const batches, size = 50, 100
	for range batches {
		c.HTTP().MustLogs(t, collectortest.Events("auth.attempt", size))
	}
	if got := backend.WaitLogs(t, batches*size); len(got) != batches*size {
		t.Errorf("%d events at the backend, want %d", len(got), batches*size)
	}
	c.WaitMetric(t, "otelcol_exporter_send_failed_log_records_total", batches*size)
}

// TestProbeTapNames runs check-overlays, so that the tap replaces nothing.
func TestProbeTapNames(t *testing.T) {
	t.Parallel()
	dir := collectortest.ConfigDir()
	out, err := exec.CommandContext(t.Context(), filepath.Join(dir, "check-overlays"), filepath.Join(dir, "base.yaml"),
		filepath.Join(dir, "backends", "otlp.yaml"), filepath.Join(dir, "probe-tap.yaml")).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
