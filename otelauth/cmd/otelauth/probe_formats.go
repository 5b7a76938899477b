// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/report"
)

// probeFormats are the flags of reports for people and for pipelines.
type probeFormats struct {
	HTML  string `name:"html" placeholder:"FILE" help:"Write the report as one HTML page, which makes no request: a map of endpoints and probes that opens each request, answer and its telemetry."`
	SARIF string `name:"sarif" placeholder:"FILE" help:"Write the findings as SARIF 2.1.0, for code scanning."`
	JUnit string `name:"junit" placeholder:"FILE" help:"Write the attempts as JUnit XML, for pipelines. A test case fails if it has a finding of or above --fail-on."`
}

// reportFile is a report and where it is written.
type reportFile struct {
	flag, path string
	write      func(io.Writer) error
}

// files returns the reports that are asked for.
func (c *probeReports) files(result *probe.Report, rows *spool) []reportFile {
	var list []reportFile
	for _, f := range []reportFile{
		{"json", c.JSON, func(w io.Writer) error { return writeJSON(w, result, rows) }},
		{"html", c.HTML, func(w io.Writer) error { return report.WriteHTML(w, result, rows.all()) }},
		{"sarif", c.SARIF, func(w io.Writer) error { return report.WriteSARIF(w, result) }},
		{"junit", c.JUnit, func(w io.Writer) error { return report.WriteJUnit(w, result, rows.all(), c.failOn()) }},
	} {
		if f.path != "" {
			list = append(list, f)
		}
	}
	return list
}

// check finds reports that cannot be written, before the run.
func (c *probeReports) check() error {
	flags := make(map[string]string)
	for _, f := range c.files(nil, nil) {
		if other := flags[f.path]; other != "" {
			return fmt.Errorf("--%s and --%s write the same file: choose another one", other, f.flag)
		}
		flags[f.path] = f.flag
		if f.path == "-" {
			if f.flag != "json" {
				return fmt.Errorf("--%s needs the name of a file; only --json can write to standard output", f.flag)
			}
			continue
		}
		folder := filepath.Dir(f.path)
		if info, err := os.Stat(folder); err != nil || !info.IsDir() {
			return fmt.Errorf("--%s: the folder %s does not exist: create it first", f.flag, quoted(folder))
		}
	}
	return nil
}

// failOn returns the least severity that fails, or one above all.
func (c *probeReports) failOn() probe.Severity {
	var level probe.Severity
	if err := level.UnmarshalText([]byte(c.FailOn)); err != nil {
		return probe.Critical + 1 // "none": the flag admits no other text
	}
	return level
}
