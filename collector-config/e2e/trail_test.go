// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.yaml.in/yaml/v3"

	"github.com/otelauth/otelauth-go/collector-config/e2e/collectortest"
	"github.com/otelauth/otelauth-go/internal/testkit"
)

// trailConfig writes trail.yaml with an OTLP receiver instead of the file receiver, which module
// filelog tests.
func trailConfig(t *testing.T, port string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(collectortest.ConfigDir(), "trail.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var c map[string]any
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	pipeline := c["service"].(map[string]any)["pipelines"].(map[string]any)["logs/trail"].(map[string]any)
	if receivers := pipeline["receivers"].([]any); len(receivers) != 1 || receivers[0] != "file_log/trail" {
		t.Fatalf("the receivers of trail.yaml are %v", receivers)
	}
	pipeline["receivers"] = []string{"otlp/trail"}
	c["receivers"] = map[string]any{"otlp/trail": map[string]any{"protocols": map[string]any{"http": map[string]any{"endpoint": "127.0.0.1:" + port}}}}
	if text, err = yaml.Marshal(c); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "trail.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The records of the file receiver become the events that the service would emit: with a name,
// cleaned, and on both buses.
func TestTrailOverlay(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("filelog/testdata/records.json")
	if err != nil {
		t.Fatal(err)
	}
	logs, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(text)
	if err != nil {
		t.Fatal(err)
	}
	sink, security, port := collectortest.NewSink(t), collectortest.NewSink(t), testkit.FreePort(t)
	collectortest.Start(t, collectortest.Options{
		Configs: []string{"base.yaml", "backends/otlp.yaml", trailConfig(t, port), `yaml:{
			exporters: {otlp_http/security: {endpoint: "` + security.HTTP + `"}},
			service: {pipelines: {logs/security: {receivers: [forward/security], exporters: [otlp_http/security]}}}}`}, Env: map[string]string{"OTLP_ENDPOINT": sink.HTTP},
	})
	collectortest.HTTPSender{URL: "http://127.0.0.1:" + port}.MustLogs(t, logs)
	records := append(sink.WaitLogs(t, 4), security.WaitLogs(t, 4)...)
	seen := map[string]int{}
	for _, r := range records {
		seq, _ := r.Attributes().Get("auth.trail.seq")
		seen[fmt.Sprintf("%d %s %s", seq.Int(), r.EventName(), r.SeverityNumber())]++
		for key := range r.Attributes().All() {
			if slices.Contains([]string{"event.name", "event", "time", "seq", "trace_id", "span_id"}, key) {
				t.Errorf("line %d has the attribute %s", seq.Int(), key)
			}
		}
		note, hasNote := r.Attributes().Get("auth.trail.note")
		if seq.Int() == 0 && (!hasNote || !strings.HasPrefix(note.Str(), "orders")) {
			t.Errorf("the note is %q", note.Str())
		}
		if seq.Int() == 1 && r.TraceID().String() != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("trace id %s", r.TraceID())
		}
	}
	for _, want := range []string{"0 auth.trail.segment Unspecified", "1 auth.attempt Info", "2 auth.attempt Warn", "3 auth.attempt Error"} {
		if seen[want] != 2 {
			t.Errorf("%q arrived %d times: %v", want, seen[want], seen)
		}
	}
}
