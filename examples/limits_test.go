// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// Every set-up of the SDK and of otelhttp that users copy has the limits of
// docs/telemetry-limits.md.
func TestExamplesLimitTelemetry(t *testing.T) {
	t.Parallel()
	// What a file that holds the key must hold too.
	needs := map[string]string{
		"sdktrace.NewTracerProvider(":     "sdktrace.WithRawSpanLimits(",
		"sdktrace.WithBatcher(":           "sdktrace.WithMaxExportBatchSize(",
		"sdktrace.NewBatchSpanProcessor(": "sdktrace.WithMaxExportBatchSize(",
		"otelhttp.NewHandler(":            "otelhttp.WithServerName(",
		"[]otelhttp.Option{":              "otelhttp.WithServerName(",
	}
	found := 0
	check := func(path string) {
		text := file(t, path)
		for call, option := range needs {
			if !strings.Contains(text, call) {
				continue
			}
			found++
			if !strings.Contains(text, option) && !strings.Contains(text, "OTelHTTP()...") && !strings.Contains(text, "OTelHTTP(), ") {
				t.Errorf("%s has %s without %s", path, call, option)
			}
		}
	}
	for _, dir := range []string{"examples", "otelauth/cmd", "collector-config/e2e/service"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".go" && !strings.HasSuffix(path, "_test.go") {
				check(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	check(filepath.Join(root, "otelauth", "doc.go"))
	check(filepath.Join(root, "README.md"))
	if found < 15 {
		t.Errorf("%d calls found: the test looks at the wrong files", found)
	}
}
