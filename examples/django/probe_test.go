// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package django

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// judge runs otelauth probe against a site whose log is in the file.
func (s *site) judge(t *testing.T, url, log, fields string) probe.Report {
	t.Helper()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(s.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	list := write("endpoints.txt", "GET /orders/\nGET /reports/\nGET /export/\nGET /health/ public\n")
	report := filepath.Join(s.dir, "report.json")
	cmd := exec.CommandContext(t.Context(), testkit.Build(t, testkit.OTelAuth), "probe", url, "--list", list, "--only", "credentials", "--rate", "0", "--workers", "1",
		"--samples", "0", "--logs", log, "--log-fields", fields, "--telemetry-wait", "5s", "--json", report, "--fail-on", "none")
	cmd.Env = append(os.Environ(), "OTELAUTH_PROBE_USER=alice", "OTELAUTH_PROBE_PASSWORD=wonderland")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("otelauth probe: %v\n%s", err, out)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	var r probe.Report
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBefore probes the site as it was before the gateway, with a log that has gaps. Each of them
// is found, and the endpoint that was forgotten too.
func TestBefore(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	log := filepath.Join(t.TempDir(), "site.log")
	modules, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	s := startDjango(t, "before", []string{"SHOP_LOG=" + log, "PYTHONPATH=" + modules})
	r := s.judge(t, s.direct, log, "django")
	found := map[string]string{}
	for _, f := range r.Findings {
		found[f.Endpoint.Path+" "+f.Detail] = f.Severity.String()
	}
	for _, want := range []struct{ path, detail string }{
		// No line about requests without credentials.
		{"/orders/", "line: missing"},
		// Of auth_failure.
		{"/orders/", "line: attribute missing: http.request.method"},
		{"/orders/", "line: attribute missing: user_agent.original"},
		{"/reports/", "line: secret leaked"},
		// Of auth_bad_format.
		{"/orders/", "line: attribute missing: client.address"},
		// Of auth_success.
		{"/orders/", "line: wrong attribute: user.name: want alice"},
	} {
		seen := false
		for key := range found {
			path, detail, _ := strings.Cut(key, " ")
			seen = seen || path == want.path && strings.Contains(detail, want.detail)
		}
		if !seen {
			t.Errorf("not found at %s: %q", want.path, want.detail)
		}
	}
	open := slices.ContainsFunc(r.Findings, func(f probe.Finding) bool { return f.Rule == probe.RuleOpen && f.Endpoint.Path == "/export/" })
	if !open {
		t.Error("the endpoint without a password was not found")
	}
	if t.Failed() {
		for key, severity := range found {
			t.Logf("%s: %s", severity, key)
		}
	}
}

// TestAfter probes the same site behind the gateway by the gateway's own lines: each attempt is
// recorded, and nothing is open.
func TestAfter(t *testing.T) {
	t.Parallel()
	s := startDjango(t, "shop.wsgi", nil)
	s.startGateway(t, "--event-burst", "10000")
	log := filepath.Join(s.dir, "gateway.log")
	done, copied := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(copied)
		s.copyLines(log, done)
	}()
	r := s.judge(t, s.url, log, "otelauth")
	close(done)
	<-copied
	for _, f := range r.Findings {
		t.Errorf("%s: %s: %s", f.Severity, f.Endpoint, f.Detail)
	}
	if r.Telemetry == nil || r.Telemetry.Attempts["recorded"] < 30 || len(r.Telemetry.Attempts) != 1 {
		t.Errorf("%+v", r.Telemetry)
	}
}

// copyLines appends the lines of the gateway to a file, as systemd or a container's runtime does.
func (s *site) copyLines(path string, done <-chan struct{}) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for written := 0; ; {
		lines := s.gateway.Lines()
		for _, l := range lines[written:] {
			_, _ = f.WriteString(l + "\n")
		}
		written = len(lines)
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
}
