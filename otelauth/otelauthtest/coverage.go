// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest

import (
	"context"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/probeproof"
	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
)

// CoverageOptions configures [Coverage]. The zero CoverageOptions probes without an account and
// does not judge telemetry.
type CoverageOptions struct {
	// Recorder has the telemetry of the handler. nil: telemetry is not judged.
	Recorder *Recorder
	// User and Password are an account of the handler. Without it no answer can be compared with
	// the right one.
	User, Password string
	// Identities are further accounts, with their groups. Each must get 403 from routes of which it
	// has no group, such as "GET /admin groups=admin".
	Identities []probe.Identity
	// Throwaway is the name of another account, which gets wrong passwords. "": none.
	Throwaway string
	// Close emits what the handler holds back, as Middleware.Close does with folded events.
	Close func() error
	// Require is what must be recorded. Default: evidence.DefaultTelemetry.
	Require []evidence.Requirement
	// FailOn is the least severity that fails the test. Default: probe.Low.
	FailOn probe.Severity
}

// Coverage fails t for each route of h that answers without the right credentials, and for each
// attempt whose span, event or count is missing or wrong. It calls h in memory with the requests
// of package probe, those with unsafe methods included, from 192.0.2.1 over TLS.
//
// A route is a line such as "GET /orders/7 route=/orders/{id}" or "GET /healthz public", see
// [probe.ReadList]. What could not be tested is logged. Coverage makes dozens of attempts a route,
// so give the handler throttle.DangerouslyNone and, with a Recorder, unfolded events.
func Coverage(t testing.TB, h http.Handler, routes []string, o CoverageOptions) *probe.Report {
	t.Helper()
	endpoints, err := probe.ReadList(strings.NewReader(strings.Join(routes, "\n")), "routes")
	if err != nil {
		t.Fatalf("otelauthtest: %v", err)
	}
	config := probe.Config{
		Target: "https://localhost", Handler: overTLS(h), Endpoints: endpoints, Throwaway: o.Throwaway,
		UnsafeMethods: true, Rate: -1, Samples: -1, MaxWait: time.Nanosecond,
	}
	if o.User != "" {
		config.Identities = []probe.Identity{{Username: o.User, Password: o.Password}}
	}
	config.Identities = append(config.Identities, o.Identities...)
	var report *probe.Report
	if o.Recorder == nil {
		report, err = probe.Run(t.Context(), config)
	} else {
		report, err = o.proven(t.Context(), config)
	}
	if err != nil {
		t.Fatalf("otelauthtest: %v", err)
	}
	o.judge(t, report)
	return report
}

// overTLS makes each request one that came over TLS, so that credentials are accepted.
func overTLS(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true}
		}
		h.ServeHTTP(w, r)
	})
}

// proven makes the run and adds the judgement on its telemetry.
func (o *CoverageOptions) proven(ctx context.Context, config probe.Config) (*probe.Report, error) {
	proof := probeproof.New(&config)
	prober, err := probe.New(config)
	if err != nil {
		return nil, err
	}
	ledger, err := evidence.New(evidence.Config{
		Require: o.Require, Secrets: prober.Canaries(), SecretNames: proof.SecretNames(), Expected: proof.Expected(),
		Skew: 100 * 365 * 24 * time.Hour, // a handler may have a fake clock
	})
	if err != nil {
		return nil, err
	}
	proof.Use(ledger)
	// The counters of earlier attempts, without their spans and events.
	if err := o.Recorder.export(nil, nil, ledger.Export); err != nil {
		return nil, err
	}
	spans, records := len(o.Recorder.spans.GetSpans()), len(o.Recorder.logs.records())
	report, err := prober.Run(ctx)
	if err != nil {
		return nil, err
	}
	if o.Close != nil {
		if err := o.Close(); err != nil {
			return nil, err
		}
	}
	if err := o.Recorder.export(o.Recorder.spans.GetSpans()[spans:], o.Recorder.logs.records()[records:], ledger.Export); err != nil {
		return nil, err
	}
	_, err = proof.Apply(report, ledger.Judge())
	return report, err
}

// judge fails the test for each finding.
func (o *CoverageOptions) judge(t testing.TB, report *probe.Report) {
	t.Helper()
	level := o.FailOn
	if level == 0 {
		level = probe.Low
	}
	for i := range report.Findings {
		f := &report.Findings[i]
		if f.Severity < level {
			continue
		}
		where := "the service"
		if f.Endpoint.Path != "" {
			where = f.Endpoint.String()
		}
		text := f.Rule.Text()
		t.Errorf("otelauthtest: %s: %s (%s): %s\n%s", where, text.Title, f.Severity, f.Detail, text.Mend)
	}
	if report.Throttles != "" || !report.Complete {
		t.Errorf("otelauthtest: not every request was made (%s%s); set Config.Throttle to throttle.DangerouslyNone{} in this test",
			report.Throttles, report.Stopped)
	}
	for _, g := range report.NotTested {
		t.Logf("otelauthtest: not tested: %s", strings.TrimSpace(g.Endpoint+" "+g.Probe+": "+g.Why))
	}
}
