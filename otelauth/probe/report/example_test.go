// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/report"
)

// finished is the report of a run. See [probe.Run].
var finished = &probe.Report{
	Target: "http://127.0.0.1:8080", Complete: true,
	Findings: []probe.Finding{{
		ID: "open GET /export", Rule: probe.RuleOpen, Severity: probe.Critical, Probes: []string{"none"},
		Endpoint: probe.Endpoint{Method: "GET", Path: "/export", Source: "endpoints.txt:3"},
		Detail:   "GET /export without credentials gets 200 with 100 % of the content of the control",
	}},
	Rows: []probe.Row{{
		Endpoint: probe.Endpoint{Method: "GET", Path: "/export", Source: "endpoints.txt:3"},
		Attempts: []probe.Attempt{{ID: "none GET /export", Probe: "none", Verdict: probe.Opened}},
	}},
}

func ExampleWriteHTML() {
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	file, err := os.Create(filepath.Join(dir, "report.html"))
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := report.WriteHTML(file, finished, nil); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(file.Close())
	// Output: <nil>
}

func ExampleWriteSARIF() {
	var text strings.Builder
	if err := report.WriteSARIF(&text, finished); err != nil {
		fmt.Println(err)
		return
	}
	for line := range strings.Lines(text.String()) {
		if strings.Contains(line, `"ruleId"`) || strings.Contains(line, `"startLine"`) {
			fmt.Println(strings.TrimSpace(line))
		}
	}
	// Output:
	// "ruleId": "open",
	// "startLine": 3
}

func ExampleWriteJUnit() {
	var text strings.Builder
	if err := report.WriteJUnit(&text, finished, nil, probe.Medium); err != nil {
		fmt.Println(err)
		return
	}
	for line := range strings.Lines(text.String()) {
		if strings.Contains(line, "<testsuite ") {
			fmt.Println(strings.TrimSpace(line))
		}
	}
	// Output:
	// <testsuite name="GET /export" tests="1" failures="1" errors="0" skipped="0" time="0.000">
}
