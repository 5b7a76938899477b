// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
)

// probeReports are the flags of what is written.
type probeReports struct {
	JSON string `name:"json" placeholder:"FILE" help:"Write the report with each request and answer as JSON; - is standard output, in place of the text."`

	probeFormats

	Resume   string `placeholder:"FILE" help:"Keep the state of the run in this file. A run that was interrupted continues where it ended. It needs the same endpoints, accounts, probes and requirements."`
	FailOn   string `enum:"info,low,medium,high,critical,none" default:"low" placeholder:"SEVERITY" help:"The exit code is 1 if there are findings of this severity or above: info, low, medium, high, critical or none. Default: low."`
	Baseline string `placeholder:"FILE" help:"A YAML file with findings that are accepted, each with a reason and a date of expiry."`
}

// baseline reads --baseline.
func (c *probeReports) baseline() ([]probe.Acceptance, error) {
	if c.Baseline == "" {
		return nil, nil
	}
	return readBaseline(c.Baseline)
}

// write writes all reports.
func (c *probeReports) write(t *terminal, report *probe.Report, rows *spool, endpoints int) error {
	if c.JSON != "-" {
		printReport(t, report, endpoints)
	}
	for _, f := range c.files(report, rows) {
		var err error
		if f.path == "-" {
			err = f.write(t.out)
		} else {
			err = writeFile(f.path, f.write)
		}
		if err != nil {
			return fmt.Errorf("--%s: %w", f.flag, err)
		}
	}
	return nil
}

// writeFile writes a report that only the user may read, because it shows the flaws of a service.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	err = write(w)
	if flushErr := w.Flush(); err == nil {
		err = flushErr
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// writeJSON writes the report with its rows, which are read one at a time.
func writeJSON(w io.Writer, report *probe.Report, rows *spool) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s,\n  \"rows\": [", strings.TrimSuffix(string(text), "\n}"))
	separator := "\n    "
	for row, err := range rows.all() {
		if err != nil {
			return err
		}
		line, err := json.Marshal(row)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s%s", separator, line)
		separator = ",\n    "
	}
	_, err = io.WriteString(w, "\n  ]\n}\n")
	return err
}

// mostShown is the number of findings of one rule, and of gaps, that the terminal shows.
const mostShown = 20

// printReport prints the report, the most severe findings first.
func printReport(t *terminal, r *probe.Report, endpoints int) {
	t.print("%s: %s, %s in %s", shown(r.Target), count(endpoints, "endpoint"), count(r.Requests, "request"), r.Ended.Sub(r.Started).Round(10e6))
	if !r.Complete {
		t.print("the run is not complete: %s", shown(r.Stopped))
	}
	accepted := 0
	for i := 0; i < len(r.Findings); {
		j := i
		for j < len(r.Findings) && r.Findings[j].Severity == r.Findings[i].Severity {
			j++
		}
		accepted += printSeverity(t, r.Findings[i:j])
		i = j
	}
	if len(r.Findings) == accepted {
		t.print("\nno finding")
	}
	printNotes(t, r, accepted)
	printGaps(t, r.NotTested)
}

// printSeverity prints the findings of one severity, grouped by rule. It returns how many of them
// a baseline accepts.
func printSeverity(t *terminal, findings []probe.Finding) (accepted int) {
	var rules []probe.Rule
	byRule := make(map[probe.Rule][]probe.Finding)
	for _, f := range findings {
		if f.Accepted != nil {
			accepted++
			continue
		}
		if byRule[f.Rule] == nil {
			rules = append(rules, f.Rule)
		}
		byRule[f.Rule] = append(byRule[f.Rule], f)
	}
	for _, rule := range rules {
		text := rule.Text()
		t.print("\n%s: %s (%s, CWE-%d, ASVS %s)", strings.ToUpper(findings[0].Severity.String()), text.Title, rule, text.CWE, text.ASVS)
		for i, f := range byRule[rule] {
			if i == mostShown {
				t.print("  and %d more; see --json", len(byRule[rule])-i)
				break
			}
			if i == 0 || f.Endpoint.String() != byRule[rule][i-1].Endpoint.String() {
				t.print("  %s", shown(where(f.Endpoint)))
			}
			t.print("      %s", shown(f.Detail))
			if len(f.Probes) > 1 {
				t.print("        by %s", strings.Join(f.Probes, ", "))
			}
		}
		t.print("  mend: %s", text.Mend)
	}
	return accepted
}

// where names an endpoint with its source. A finding about the whole target has none.
func where(e probe.Endpoint) string {
	switch {
	case e.Path == "":
		return "the target"
	case e.Source == "":
		return e.String()
	}
	return e.String() + " (" + e.Source + ")"
}

// printNotes prints what is neither a finding nor a gap.
func printNotes(t *terminal, r *probe.Report, accepted int) {
	if r.Throttles != "" {
		t.print("\ngood: %s", r.Throttles)
	}
	if tm := r.Timing; tm != nil && !tm.Decided && tm.Samples > 0 {
		t.print("\ntime: no difference between unknown users and wrong passwords (p = %.2g, %d samples of each)", tm.P, tm.Samples)
	}
	printTelemetry(t, r.Telemetry)
	if accepted > 0 {
		t.print("\n%s accepted by the baseline", count(accepted, "finding"))
	}
	for _, a := range r.Expired {
		t.print("the baseline no longer accepts %s: the entry expired on %s", shown(a.ID), a.Expires.AddDate(0, 0, -1).Format("2006-01-02"))
	}
	for _, a := range r.Unused {
		t.print("the baseline accepts %s, which was not found: remove the entry", shown(a.ID))
	}
}

// printTelemetry prints what was recorded of the attempts.
func printTelemetry(t *terminal, r *probe.Telemetry) {
	if r == nil {
		return
	}
	var parts []string
	for _, v := range evidence.Verdicts() {
		if n := r.Attempts[string(v)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, v))
		}
	}
	text := "telemetry: " + strings.Join(parts, ", ")
	switch {
	case r.Events > 0:
		text += fmt.Sprintf("; from answer to arrival %s in the median, %s at most", r.MedianDelay.Round(time.Millisecond), r.MaxDelay.Round(time.Millisecond))
	case r.Spans+r.Points == 0:
		text += "; nothing arrived: let the service export, or write its lines, to where this run reads"
	}
	t.print("\n%s", text)
}

func printGaps(t *terminal, gaps []probe.Gap) {
	if len(gaps) == 0 {
		return
	}
	t.print("\nnot tested")
	for i, g := range gaps {
		if i == mostShown {
			t.print("  and %d more; see --json", len(gaps)-i)
			return
		}
		what := g.Endpoint
		if what == "" && g.Times > 1 {
			what = count(g.Times, "endpoint")
		}
		if g.Probe != "" {
			what = strings.TrimSpace(what + " " + g.Probe)
		}
		if what == "" {
			what = "the target"
		}
		t.print("  %s: %s", shown(what), shown(g.Why))
	}
}
