// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package rename_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/internal/semconvgen/registry"
	"github.com/otelauth/otelauth-go/internal/semconvgen/rename"
)

func TestTree(t *testing.T) {
	t.Parallel()
	r, err := registry.Open()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	before := map[string]string{
		"declared.yaml": "  - id: metric.auth.attempts\n    metric_name: auth.attempts\n    brief: Counts auth.attempts.\n  - id: event.auth.attempt\n",
		"alerts.yaml":   "expr: rate(auth_attempts_total[5m]) / job:auth_attempts:rate5m + auth_attempts_totals",
		"code.go":       "semconv.MetricAttempts, semconv.MetricAttemptDuration, \"auth.attempts\" \"auth.attempts\"",
		"CHANGELOG.md":  "auth.attempts",
		"other.txt":     "auth.attempts",
	}
	for name, text := range before {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := rename.Tree(r, dir, "auth.attempts", "auth.tries"); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name := range before {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = string(text)
	}
	want := map[string]string{
		"declared.yaml": "  - id: metric.auth.tries\n    metric_name: auth.tries\n    brief: Counts auth.tries.\n  - id: event.auth.attempt\n",
		"alerts.yaml":   "expr: rate(auth_tries_total[5m]) / job:auth_attempts:rate5m + auth_attempts_totals",
		"code.go":       "semconv.MetricTries, semconv.MetricAttemptDuration, \"auth.tries\" \"auth.tries\"",
		"CHANGELOG.md":  "auth.attempts",
		"other.txt":     "auth.attempts",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range []string{"auth.unknown", "auth.events.suppressed"} {
		if _, err := rename.Tree(r, dir, name, "auth.new"); err == nil {
			t.Errorf("%s was renamed, which is not the name of exactly one declaration", name)
		}
	}
}
