// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/report"
)

// The parts of JUnit XML that GitLab, Jenkins and GitHub read.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     float64     `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string  `xml:"name,attr"`
		Class   string  `xml:"classname,attr"`
		File    string  `xml:"file,attr"`
		Time    float64 `xml:"time,attr"`
		Failure *struct {
			Message string `xml:"message,attr"`
			Type    string `xml:"type,attr"`
			Text    string `xml:",chardata"`
		} `xml:"failure"`
		Skipped *struct {
			Message string `xml:"message,attr"`
		} `xml:"skipped"`
		SystemOut string `xml:"system-out"`
	}
)

// elements is which element may be in which, with its attributes.
var elements = map[string]string{
	"testsuites": "", "testsuite": "testsuites", "properties": "testsuite", "property": "properties", "testcase": "testsuite",
	"failure": "testcase", "skipped": "testcase", "system-out": "testcase",
}

// junit returns the report as JUnit. It fails the test if the structure is wrong or a number is.
func junit(t testing.TB, r *probe.Report, failOn probe.Severity) junitSuites {
	t.Helper()
	var out bytes.Buffer
	if err := report.WriteJUnit(&out, r, nil, failOn); err != nil {
		t.Fatal(err)
	}
	checkStructure(t, out.Bytes())
	var suites junitSuites
	if err := xml.Unmarshal(out.Bytes(), &suites); err != nil {
		t.Fatal(err)
	}
	for _, s := range suites.Suites {
		failures, skips := 0, 0
		for _, c := range s.Cases {
			if c.Failure != nil {
				failures++
			}
			if c.Skipped != nil {
				skips++
			}
			if c.Name == "" || c.Class == "" {
				t.Errorf("a test case of %q has no name or class", s.Name)
			}
		}
		if s.Tests != len(s.Cases) || s.Failures != failures || s.Skipped != skips || s.Errors != 0 {
			t.Errorf("suite %q counts %d tests, %d failures, %d skipped; it has %d, %d, %d", s.Name, s.Tests, s.Failures, s.Skipped, len(s.Cases), failures, skips)
		}
	}
	return suites
}

func checkStructure(t testing.TB, text []byte) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(text))
	stack := []string{""}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v", err)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if parent, known := elements[e.Name.Local]; !known || parent != stack[len(stack)-1] {
				t.Errorf("element %s in %q", e.Name.Local, stack[len(stack)-1])
			}
			stack = append(stack, e.Name.Local)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		}
	}
}

func (s junitSuites) find(suite, name string) *junitCase {
	for i := range s.Suites {
		for k := range s.Suites[i].Cases {
			if c := &s.Suites[i].Cases[k]; s.Suites[i].Name == suite && c.Name == name {
				return c
			}
		}
	}
	return nil
}

func TestJUnit(t *testing.T) {
	t.Parallel()
	r := sample(t)
	r.Findings = append(r.Findings, probe.Finding{ID: "timing", Rule: probe.RuleTiming, Severity: probe.Medium, Detail: "2 ms"})
	suites := junit(t, r, probe.Medium)
	open := suites.find("GET /export", "none")
	if open == nil || open.Failure == nil {
		t.Fatal("the open endpoint does not fail")
	}
	for _, want := range []string{"CWE-306", "ASVS 5.0 item 8.2.1", "How to mend: Put the endpoint behind", "curl ", "Answer: 200"} {
		if !strings.Contains(open.Failure.Text, want) {
			t.Errorf("the failure lacks %q:\n%s", want, open.Failure.Text)
		}
	}
	if open.File != "endpoints.txt" || open.Failure.Type != "CWE-306" {
		t.Errorf("file %q, type %q", open.File, open.Failure.Type)
	}
	if c := suites.find("target", "timing"); c == nil || c.Failure == nil {
		t.Error("the finding of the target does not fail")
	}
	if c := suites.find("GET /debug", "control"); c == nil || !strings.Contains(c.Failure.Text, "Accepted until") && !strings.Contains(c.SystemOut, "Accepted until") {
		t.Error("the finding that the baseline accepts is not shown")
	}
	if c := suites.find("not tested", "every probe"); c == nil || c.Skipped == nil {
		t.Error("what was not tested is not shown")
	}
	for _, s := range junit(t, r, probe.Critical+1).Suites {
		if s.Failures > 0 {
			t.Errorf("%s fails, though nothing should", s.Name)
		}
	}
}

// TestJUnitLosesNoFinding sees that each finding is in the report, with its attempts or without.
func TestJUnitLosesNoFinding(t *testing.T) {
	t.Parallel()
	r := sample(t)
	for _, rows := range [][]probe.Row{r.Rows, nil} {
		r.Rows = rows
		var text strings.Builder
		for _, s := range junit(t, r, probe.Info).Suites {
			for _, c := range s.Cases {
				if c.Failure != nil {
					text.WriteString(c.Failure.Text)
				}
				text.WriteString(c.SystemOut)
			}
		}
		for _, f := range r.Findings {
			if !strings.Contains(text.String(), f.Detail) {
				t.Errorf("%d rows: no test case has the finding %s", len(rows), f.ID)
			}
		}
	}
}

// TestHostileText sees that no text of a target changes the structure of a report.
func TestHostileText(t *testing.T) {
	t.Parallel()
	r := hostileReport(hostile)
	suites := junit(t, r, probe.Info)
	if got := len(suites.Suites); got != 3 {
		t.Errorf("%d suites, want target, endpoint and gaps", got)
	}
	sarif(t, r)
	checkPage(t, page(t, r), len(r.Rows))
}

// hostileReport has the text everywhere.
func hostileReport(s string) *probe.Report {
	e := probe.Endpoint{Method: s, Path: "/" + s, Route: s, Groups: []string{s}, Source: s, Body: s, ContentType: s}
	a := probe.Attempt{
		ID: s, Probe: s, Identity: s, Username: s, Why: s, Verdict: probe.Verdict(s), TraceID: s,
		Request: probe.Request{Method: s, Target: s, Curl: s, Body: s, Headers: []probe.Header{{Name: s, Value: s}}},
		Answer:  probe.Answer{Status: 200, Excerpt: s, Error: s, Headers: []probe.Header{{Name: s, Value: s}}},
		Evidence: &probe.Evidence{
			Verdict: s, Problems: []string{s}, Fields: []string{s}, Expected: map[string]string{s: s},
			Arrived: []probe.Record{{Signal: s, Name: s, Attributes: map[string]string{s: s}}},
		},
	}
	return &probe.Report{
		Target: "https://shop.example", Version: s, Stopped: s, Throttles: s, Identities: []probe.Identity{{Name: s, Groups: []string{s}}},
		Findings: []probe.Finding{
			{ID: "1" + s, Rule: probe.Rule(s), Severity: probe.High, Detail: s, Attempts: []probe.Attempt{a}},
			{ID: "2" + s, Rule: probe.RuleOpen, Severity: probe.Low, Endpoint: e, Probes: []string{s}, Detail: s, Accepted: &probe.Acceptance{ID: s, Reason: s}},
		},
		NotTested: []probe.Gap{{Endpoint: s, Probe: s, Why: s}},
		Rows:      []probe.Row{{Endpoint: e, Attempts: []probe.Attempt{a}}},
	}
}

func TestRowsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	broken := errors.New("the file is gone")
	rows := func(yield func(probe.Row, error) bool) { yield(probe.Row{}, broken) }
	r := &probe.Report{}
	if err := report.WriteJUnit(io.Discard, r, rows, probe.Low); !errors.Is(err, broken) {
		t.Errorf("JUnit: %v", err)
	}
	if err := report.WriteHTML(io.Discard, r, rows); !errors.Is(err, broken) {
		t.Errorf("HTML: %v", err)
	}
}

// full is a disk without space.
type full struct{}

var errFull = errors.New("no space left on device")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestDiskIsFull(t *testing.T) {
	t.Parallel()
	r := sample(t)
	for name, write := range map[string]func() error{
		"html":  func() error { return report.WriteHTML(full{}, r, nil) },
		"sarif": func() error { return report.WriteSARIF(full{}, r) },
		"junit": func() error { return report.WriteJUnit(full{}, r, nil, probe.Low) },
	} {
		if err := write(); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReports(f *testing.F) {
	for _, s := range []string{"", "a", hostile, "\xff\xfe", "]]>", "<!--", "%", "{{", `\u0000`, "\r\n", "\U000e0041"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := hostileReport(s)
		if got := len(junit(t, r, probe.Info).Suites); got != 3 {
			t.Errorf("%d suites", got)
		}
		checkPage(t, page(t, r), len(r.Rows))
		sarif(t, r)
	})
}
