// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// WriteJUnit writes JUnit XML: a test suite for each endpoint, with a test case for each probe that
// was sent. A test case fails if a finding of severity failOn or above names its probe and no
// baseline accepts it. A probe without a verdict is skipped, with the reason.
//
// rows yields the endpoints of the run; nil: those of r. What was not tested is a suite of its own.
func WriteJUnit(w io.Writer, r *probe.Report, rows iter.Seq2[probe.Row, error], failOn probe.Severity) error {
	out := bufio.NewWriter(w)
	_, _ = out.WriteString(xml.Header)
	fmt.Fprintf(out, "<testsuites name=%q>\n", "otelauth probe")
	encoder := xml.NewEncoder(out)
	encoder.Indent("  ", "  ")
	write := func(s *suite) error {
		if len(s.Cases) == 0 {
			return nil
		}
		if err := encoder.Encode(s); err != nil {
			return fmt.Errorf("probe: report as JUnit: %w", err)
		}
		return nil
	}
	judge := &junitJudge{report: r, failOn: failOn, at: byEndpoint(r.Findings)}
	if err := write(judge.target()); err != nil {
		return err
	}
	for row, err := range rowsOf(r, rows) {
		if err != nil {
			return err
		}
		if err := write(judge.endpoint(&row)); err != nil {
			return err
		}
	}
	if err := write(notTested(r)); err != nil {
		return err
	}
	_, _ = out.WriteString("\n</testsuites>\n")
	if err := out.Flush(); err != nil {
		return fmt.Errorf("probe: report as JUnit: %w", err)
	}
	return nil
}

type (
	suite struct {
		XMLName    xml.Name   `xml:"testsuite"`
		Name       string     `xml:"name,attr"`
		Tests      int        `xml:"tests,attr"`
		Failures   int        `xml:"failures,attr"`
		Errors     int        `xml:"errors,attr"`
		Skipped    int        `xml:"skipped,attr"`
		Time       string     `xml:"time,attr"`
		Timestamp  string     `xml:"timestamp,attr,omitempty"`
		Hostname   string     `xml:"hostname,attr,omitempty"`
		Properties []property `xml:"properties>property,omitempty"`
		Cases      []testCase `xml:"testcase"`
	}
	property struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	testCase struct {
		Name      string   `xml:"name,attr"`
		Class     string   `xml:"classname,attr"`
		File      string   `xml:"file,attr,omitempty"`
		Time      string   `xml:"time,attr"`
		Failure   *failure `xml:"failure"`
		Skipped   *skipped `xml:"skipped"`
		SystemOut string   `xml:"system-out,omitempty"`
	}
	failure struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
	skipped struct {
		Message string `xml:"message,attr"`
	}
)

// junitJudge decides which probes have failed.
type junitJudge struct {
	report *probe.Report
	failOn probe.Severity
	at     map[string][]int
}

func (s *suite) add(c testCase) {
	s.Tests++
	if c.Name == "" {
		c.Name = "unnamed" // readers refuse a case without a name
	}
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

// target returns the findings that are not those of one endpoint.
func (j *junitJudge) target() *suite {
	s := &suite{Name: "target", Time: "0.000", Hostname: visible(j.report.Target)}
	for _, i := range j.at[""] {
		f := &j.report.Findings[i]
		c := testCase{Name: string(f.Rule), Class: "target", Time: "0.000"}
		j.settle(&c, []*probe.Finding{f}, nil)
		s.add(c)
	}
	return s
}

// endpoint returns the test cases of a row. Findings that no sent probe shows have cases of their
// own, so that none is lost.
func (j *junitJudge) endpoint(row *probe.Row) *suite {
	name := visible(row.Endpoint.String())
	s := &suite{Name: name, Time: "0.000"}
	s.Properties = endpointProperties(row.Endpoint)
	file, _ := sourceOf(row.Endpoint)
	var total time.Duration
	shown := make(map[int]bool)
	for k := range row.Attempts {
		a := &row.Attempts[k]
		if k == 0 && !a.Sent.IsZero() {
			s.Timestamp = a.Sent.UTC().Format("2006-01-02T15:04:05")
		}
		total += a.Answer.Latency
		c := testCase{Name: visible(strings.TrimSuffix(a.ID, " "+row.Endpoint.String())), Class: name, File: visible(file), Time: seconds(a.Answer.Latency)}
		var found []*probe.Finding
		for _, i := range j.at[row.Endpoint.String()] {
			if f := &j.report.Findings[i]; slices.Contains(f.Probes, a.Probe) {
				found = append(found, f)
				shown[i] = true
			}
		}
		j.settle(&c, found, a)
		s.add(c)
	}
	for _, i := range j.at[row.Endpoint.String()] {
		if !shown[i] {
			f := &j.report.Findings[i]
			c := testCase{Name: string(f.Rule), Class: name, File: visible(file), Time: "0.000"}
			j.settle(&c, []*probe.Finding{f}, nil)
			s.add(c)
		}
	}
	s.Time = seconds(total)
	return s
}

func endpointProperties(e probe.Endpoint) []property {
	var list []property
	add := func(name, value string) {
		if value != "" {
			list = append(list, property{name, visible(value)})
		}
	}
	add("route", e.Route)
	add("access", string(e.Access))
	add("groups", strings.Join(e.Groups, ", "))
	add("source", e.Source)
	return list
}

// settle sets the result of a test case. a may be nil.
func (j *junitJudge) settle(c *testCase, found []*probe.Finding, a *probe.Attempt) {
	var failing, noted []*probe.Finding
	for _, f := range found {
		if f.Accepted == nil && f.Severity >= j.failOn {
			failing = append(failing, f)
		} else {
			noted = append(noted, f)
		}
	}
	if len(failing) > 0 {
		worst := slices.MaxFunc(failing, func(x, y *probe.Finding) int { return int(x.Severity) - int(y.Severity) })
		text := worst.Rule.Text()
		c.Failure = &failure{
			Message: visible(fmt.Sprintf("%s: %s: %s", worst.Severity, text.Title, worst.Detail)),
			Type:    fmt.Sprintf("CWE-%d", text.CWE),
			Text:    describe(failing, a),
		}
	} else if a != nil && (a.Verdict == probe.Unknown || a.Verdict == probe.NotSent || a.Verdict == probe.Throttled) {
		c.Skipped = &skipped{visible(string(a.Verdict) + ": " + a.Why)}
	}
	if len(noted) > 0 {
		c.SystemOut = describe(noted, a)
	}
}

// describe returns findings as text for a person.
func describe(found []*probe.Finding, a *probe.Attempt) string {
	var b strings.Builder
	for _, f := range found {
		text := f.Rule.Text()
		fmt.Fprintf(&b, "\n%s: %s (CWE-%d, OWASP ASVS 5.0 item %s)\n%s\nHow to mend: %s\n", f.Severity, text.Title, text.CWE, text.ASVS, f.Detail, text.Mend)
		if f.Accepted != nil {
			fmt.Fprintf(&b, "Accepted until %s: %s\n", f.Accepted.Expires.UTC().Format(time.DateOnly), f.Accepted.Reason)
		}
	}
	if a == nil {
		return visible(b.String())
	}
	if a.Request.Curl != "" {
		fmt.Fprintf(&b, "Request: %s\n", a.Request.Curl)
	}
	if a.Answer.Status != 0 {
		fmt.Fprintf(&b, "Answer: %d, %d bytes\n", a.Answer.Status, a.Answer.BodyBytes)
	} else if a.Answer.Error != "" {
		fmt.Fprintf(&b, "No answer: %s\n", a.Answer.Error)
	}
	if e := a.Evidence; e != nil {
		fmt.Fprintf(&b, "Telemetry: %s\n", e.Verdict)
		for _, p := range e.Problems {
			fmt.Fprintf(&b, "  %s\n", p)
		}
	}
	return visible(b.String())
}

// notTested returns the gaps of the run as skipped test cases.
func notTested(r *probe.Report) *suite {
	s := &suite{Name: "not tested", Time: "0.000"}
	for _, g := range r.NotTested {
		name := g.Probe
		if name == "" {
			name = "every probe"
		}
		class := g.Endpoint
		if class == "" {
			class = "several endpoints"
		}
		why := g.Why
		if g.Times > 1 {
			why += " (" + strconv.Itoa(g.Times) + " endpoints)"
		}
		s.add(testCase{Name: visible(name), Class: visible(class), Time: "0.000", Skipped: &skipped{visible(why)}})
	}
	return s
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 3, 64) }
