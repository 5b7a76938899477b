// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the parts of documents that the table of rules determines")

// generated are the documents that list the rules. Only what is between begin and end is
// generated.
var generated = []struct {
	name, file, begin, end string
	render                 func() string
}{
	{
		name: "package comment", file: "doc.go",
		begin: "defaults of [Thresholds]:\n//\n", end: "//\n// # What is not detected\n", render: packageComment,
	},
	{
		name: "alerting rules", file: "../../collector-config/alerts/rules/detection.yaml",
		begin: "      # begin: generated\n", end: "      # end: generated\n", render: alertingRules,
	},
	{
		name: "page of attacks", file: "../../docs/attacks.md",
		begin: "| rule | severity | ATT&CK | fires at |\n| --- | --- | --- | --- |\n",
		end:   "\n## How fast attacks are detected\n", render: attacksTable,
	},
	{
		name: "page of detections", file: "../../docs/detections.md",
		begin: "## The rules\n\n", end: "## Rules of your own\n", render: advicePage,
	},
}

func packageComment() string {
	var b strings.Builder
	for _, r := range Rules() {
		fmt.Fprintf(&b, "//\t%-22s  %-6s  %s\n", r.Name, r.Severity, r.Technique)
		if r.Optional {
			fmt.Fprint(&b, "//\t    off by default; turn it on with Config.On\n")
		}
		const width = 88
		line := ""
		for _, word := range strings.Fields(r.Default) {
			if len(line)+1+len(word) > width {
				fmt.Fprintf(&b, "//\t   %s\n", line)
				line = ""
			}
			line += " " + word
		}
		fmt.Fprintf(&b, "//\t   %s\n", line)
	}
	return b.String()
}

func alertingRules() string {
	var b strings.Builder
	for _, r := range Rules() {
		fmt.Fprintf(&b, "      - record: otelauth:security_rule:severity\n        expr: vector(1)\n"+
			"        labels: {security_rule_name: %s, security_rule_severity: %s}\n", r.Name, r.Severity)
	}
	return b.String()
}

func attacksTable() string {
	var b strings.Builder
	for _, r := range Rules() {
		off := ""
		if r.Optional {
			off = fmt.Sprintf("; off by default: turn it on with `--detect-on %s`", r.Name)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s%s |\n", r.Name, r.Severity, r.Technique, r.Default, off)
	}
	return b.String()
}

// TestGenerated compares every document that lists the rules with the table.
// To write them: go generate ./otelauth/detect.
func TestGenerated(t *testing.T) {
	t.Parallel()
	for _, g := range generated {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			page, err := os.ReadFile(g.file)
			if err != nil {
				t.Fatal(err)
			}
			head, rest, found := strings.Cut(string(page), g.begin)
			got, tail, closed := strings.Cut(rest, g.end)
			if !found || !closed {
				t.Fatalf("%s has no lines %q and %q around the list of rules", g.file, g.begin, g.end)
			}
			want := g.render()
			if got == want {
				return
			}
			if !*update {
				t.Fatalf("%s does not list the rules of rule.go; run go generate ./otelauth/detect to write:\n%s", g.file, want)
			}
			written := []byte(head + g.begin + want + g.end + tail)
			if err := os.WriteFile(g.file, written, 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}
