// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package django

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// judge runs otelauth probe against a site whose log is in the file.
func (s *site) judge(t *testing.T, url, log, fields, only, endpoints string) probe.Report {
	t.Helper()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(s.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	list := write("endpoints.txt", "GET /orders/\nGET /reports/\nGET /export/\nGET /health/ public\n"+endpoints)
	report := filepath.Join(s.dir, "report.json")
	cmd := exec.CommandContext(t.Context(), testkit.Build(t, testkit.OTelAuth), "probe", url, "--list", list, "--only", only, "--rate", "0", "--workers", "1",
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

// planted are the gaps of testdata/before.py, by the start of the ID of their findings, and how
// many endpoints have each.
var planted = map[string]int{
	"open GET /export/":            1,
	"refused-identity GET /legacy": 1, // the view answers 401 itself
	// No line about requests without credentials.
	"telemetry missing/line GET ": 3,
	// Of auth_failure.
	"telemetry attribute-missing/line/http.request.method GET ": 4,
	"telemetry attribute-missing/line/user_agent.original GET ": 4,
	"telemetry-secret secret-leaked/line GET /reports/":         1,
	// Of auth_bad_format.
	"telemetry attribute-missing/line/client.address GET ": 3,
	// Of auth_success.
	"telemetry wrong-attribute/line/user.name GET /orders/": 1,
	// A consequence of the open endpoint: the service does not read the credentials.
	"telemetry attribute-missing/line/auth.outcome GET /export/": 1,
}

// TestBefore probes the site as it was before the gateway, with a log that has gaps. Each of them
// is found, and the endpoint that was forgotten too, and nothing else.
func TestBefore(t *testing.T) {
	testkit.OnlyLong(t)
	t.Parallel()
	log := filepath.Join(t.TempDir(), "site.log")
	modules, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	s := startDjango(t, "before", []string{"SHOP_LOG=" + log, "PYTHONPATH=" + modules})
	r := s.judge(t, s.direct, log, "django", "credentials,header,method", "GET /legacy/\n")
	found := map[string]int{}
	for _, f := range r.Findings {
		key := f.ID
		for start := range planted {
			if strings.HasPrefix(f.ID, start) {
				key = start
			}
		}
		if found[key]++; planted[key] == 0 {
			t.Errorf("false alarm %s: %s by %v", f.ID, f.Detail, f.Probes)
		}
	}
	for start, want := range planted {
		if found[start] != want {
			t.Errorf("%s: found at %d endpoints, want %d", start, found[start], want)
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
	r := s.judge(t, s.url, log, "otelauth", "credentials", "")
	close(done)
	<-copied
	for _, f := range r.Findings {
		t.Errorf("%s: %s: %s", f.Severity, f.Endpoint, f.Detail)
	}
	if n := r.Telemetry.Attempts["recorded"]; n < 30 || n+r.Telemetry.Attempts["not required"] != r.Requests {
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
