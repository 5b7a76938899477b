// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProbeFormats(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(&shop{})
	t.Cleanup(server.Close)
	dir := shopFiles(t)
	files := make(map[string]string)
	var args []string
	for _, format := range []string{"html", "sarif", "junit", "json"} {
		files[format] = filepath.Join(dir, "report."+format)
		args = append(args, "--"+format, files[format])
	}
	out, err := probeShop(t, server.URL, dir, append(args, "--fail-on", "critical")...)
	var findings findingsError
	if !errors.As(err, &findings) || findings.count != 1 {
		t.Fatalf("got %v, want one critical finding\n%s", err, out)
	}
	texts := make(map[string]string)
	for format, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "canary") {
			t.Errorf("the report as %s shows a password", format)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, want one that only the user may read: %v", format, info.Mode(), err)
		}
		texts[format] = string(text)
	}
	var log struct {
		Runs []struct {
			Results []struct{ RuleID, Level string }
		}
	}
	if err := json.Unmarshal([]byte(texts["sarif"]), &log); err != nil || len(log.Runs) != 1 || len(log.Runs[0].Results) != 2 {
		t.Errorf("SARIF: %v: %v, want two results", log, err)
	}
	var suites struct {
		Suites []struct {
			Name     string `xml:"name,attr"`
			Failures int    `xml:"failures,attr"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(texts["junit"]), &suites); err != nil {
		t.Fatal(err)
	}
	for _, s := range suites.Suites {
		if want := map[bool]int{true: 1}[s.Name == "GET /export"]; s.Failures != want {
			t.Errorf("JUnit: %s has %d failures, want %d: --fail-on is critical", s.Name, s.Failures, want)
		}
	}
	if n := strings.Count(texts["html"], `id="row-`); n != 4 {
		t.Errorf("the page has %d endpoints, want 4", n)
	}
}

// TestProbeFormatsAreChecked sees that a report that cannot be written fails before the run.
func TestProbeFormatsAreChecked(t *testing.T) {
	t.Parallel()
	service := &shop{}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	dir := shopFiles(t)
	same := filepath.Join(dir, "report")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--html", filepath.Join(dir, "gone", "report.html")}, "gone\" does not exist: create it first"},
		{[]string{"--sarif", "-"}, "--sarif needs the name of a file"},
		{[]string{"--html", same, "--junit", same}, "--html and --junit write the same file"},
	} {
		_, err := probeShop(t, server.URL, dir, c.args...)
		var usage usageError
		if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want a usage error with %q", c.args, err, c.want)
		}
	}
	if n := service.requests.Load(); n > 0 {
		t.Errorf("%d requests were sent before the flags were checked", n)
	}
}
