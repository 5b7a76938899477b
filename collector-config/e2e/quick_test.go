// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
)

// quickAt moves quick.yaml, which has fixed ports, to an address of the test's own, and adds the
// health endpoint that the harness waits for.
func quickAt(t *testing.T, address string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "at.yaml")
	text := fmt.Sprintf(`
extensions: {health_check: {endpoint: "%[1]s:13133"}}
receivers: {otlp: {protocols: {grpc: {endpoint: "%[1]s:4317"}, http: {endpoint: "%[1]s:4318"}}}}
service: {extensions: [health_check]}
`, address)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestQuick(t *testing.T) {
	t.Parallel()
	sink := collectortest.NewSink(t)
	address := collectortest.LoopbackAddress(t, collectortest.PortGRPC, collectortest.PortHTTP, collectortest.PortHealth)
	dir := t.TempDir()
	headers := filepath.Join(dir, "backend.headers")
	if err := os.WriteFile(headers, []byte("x-team: t1\nAuthorization: Bearer 0123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := collectortest.Start(t, collectortest.Options{
		Configs: []string{"quick.yaml", quickAt(t, address)},
		Address: address,
		Dir:     dir,
		Env:     map[string]string{"OTLP_ENDPOINT": sink.HTTP, "OTLP_HEADERS_FILE": headers},
		Unset:   []string{"OTELAUTH_COLLECTOR_TOKEN_FILE", "OTELAUTH_COLLECTOR_QUEUE_DIR"},
	})
	c.HTTP().MustLogs(t, collectortest.Events("auth.attempt", 3))
	c.HTTP().MustTraces(t, collectortest.Trace(nil))
	c.HTTP().MustMetrics(t, collectortest.Counter("auth.attempts", 1, nil))
	sink.WaitLogs(t, 3)
	collectortest.Wait(t, func() bool { return len(sink.Traces()) > 0 && len(sink.Metrics()) > 0 }, "traces and metrics")
	for _, r := range sink.Requests() {
		if !slices.Equal(r.Header["x-team"], []string{"t1"}) || !slices.Equal(r.Header["authorization"], []string{"Bearer 0123"}) {
			t.Errorf("%s has the headers %v", r.Path, r.Header)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "queue")); err == nil {
		t.Error("there is a queue on disk")
	}
}

// quick.yaml has no token, so it listens on loopback only and no variable changes that.
func TestQuickIsForThisMachine(t *testing.T) {
	t.Parallel()
	text := readText(t, "quick.yaml")
	listeners := regexp.MustCompile(`(?:grpc|http): \{endpoint: ([^}]+)\}`).FindAllStringSubmatch(text, -1)
	if len(listeners) != 2 {
		t.Errorf("%d listeners, want 2", len(listeners))
	}
	for _, l := range listeners {
		if !strings.HasPrefix(l[1], "127.0.0.1:") {
			t.Errorf("listens on %s", l[1])
		}
	}
	if n := strings.Count(text, "\n"); n > 45 {
		t.Errorf("%d lines; a file for the first hour has about 40", n)
	}
	if !strings.Contains(text, "Move to base.yaml when ") {
		t.Error("it does not say when to move to base.yaml")
	}
	out, err := collectortest.Run(t, collectortest.Options{Configs: []string{"quick.yaml"}})
	if err == nil || !strings.Contains(out, "OTLP_ENDPOINT") {
		t.Errorf("without its variable: %v: %s", err, out)
	}
}

// The README shows three lines for each backend: they set the variables of quick.yaml and start
// it.
func TestQuickBackendsOfTheReadme(t *testing.T) {
	t.Parallel()
	_, section, found := strings.Cut(readText(t, "README.md"), "\n## Quick start\n")
	section, _, end := strings.Cut(section, "\n## ")
	if !found || !end {
		t.Fatal("README.md has no section Quick start")
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) < 5 {
		t.Fatalf("%d backends", len(blocks))
	}
	for _, block := range blocks {
		lines := strings.Split(strings.TrimSpace(block[1]), "\n")
		if len(lines) > 3 {
			t.Errorf("%d lines: %q", len(lines), lines)
		}
		dir, env := t.TempDir(), map[string]string{}
		var configs []string
		for _, line := range lines {
			switch {
			case strings.HasPrefix(line, "export "):
				name, value, _ := strings.Cut(strings.TrimPrefix(line, "export "), "=")
				env[name] = value
			case strings.HasPrefix(line, "echo "):
				header, file, _ := strings.Cut(strings.TrimPrefix(line, "echo "), " >")
				file, export, _ := strings.Cut(file, " && export ")
				if export != "OTLP_HEADERS_FILE="+file {
					t.Errorf("the line sets %q", export)
				}
				env["OTLP_HEADERS_FILE"] = filepath.Join(dir, file)
				if err := os.WriteFile(env["OTLP_HEADERS_FILE"], []byte(strings.Trim(header, "'")+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			case strings.HasPrefix(line, "otelcol-contrib "):
				for _, m := range regexp.MustCompile(`--config (?:'([^']+)'|(\S+))`).FindAllStringSubmatch(line, -1) {
					configs = append(configs, m[1]+m[2])
				}
			default:
				t.Errorf("nothing tests the line %q", line)
			}
		}
		if len(configs) == 0 || env["OTLP_ENDPOINT"] == "" {
			t.Errorf("no command or endpoint in %q", lines)
		}
		if out, err := collectortest.Validate(t, collectortest.Options{Configs: configs, Env: env, Dir: dir}); err != nil {
			t.Errorf("%v: %v: %s", slices.Sorted(maps.Keys(env)), err, out)
		}
	}
}
