// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	_ "embed" // the parts of the page
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"iter"
	"strings"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

var (
	//go:embed page/body.html
	pageBody string
	//go:embed page/page.css
	pageStyle string
	//go:embed page/page.js
	pageScript string
)

// pageHead is the start of the page. It allows its own style and script by their hashes and nothing
// else: no request, no form, no other script, and no markup that a script makes of text.
const pageHead = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '%s'; script-src '%s'; img-src data:; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>%s</title>
<style>%s</style>
%s`

// WriteHTML writes the report as one page: what was found, a map of endpoints and probes whose
// cells show request, answer and telemetry, and what was not tested. The page makes no request and
// can be opened from a disk. The details of each endpoint are compressed; the browser expands them
// when they are looked at.
//
// rows yields the endpoints of the run; nil: those of r.
func WriteHTML(w io.Writer, r *probe.Report, rows iter.Seq2[probe.Row, error]) error {
	out := bufio.NewWriterSize(w, 64<<10)
	fmt.Fprintf(out, pageHead, policyHash(pageStyle), policyHash(pageScript), html.EscapeString("Probe of "+visible(r.Target)), pageStyle, pageBody)
	content := newContents(r)
	for row, err := range rowsOf(r, rows) {
		if err != nil {
			return err
		}
		if err := writeData(out, fmt.Sprintf("row-%d", len(content.Rows)), row.Attempts); err != nil {
			return err
		}
		content.add(&row)
	}
	if err := writeData(out, "contents", content); err != nil {
		return err
	}
	fmt.Fprintf(out, "<script>%s</script>\n</html>\n", pageScript)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("probe: report as HTML: %w", err)
	}
	return nil
}

// policyHash returns the source of a Content-Security-Policy that allows text.
func policyHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// writeData writes a value as a data block: JSON, compressed, as base64. No text in it can end the
// block.
func writeData(out *bufio.Writer, id string, value any) error {
	fmt.Fprintf(out, "<script type=\"application/octet-stream\" id=%q>", id)
	encoded := base64.NewEncoder(base64.StdEncoding, out)
	compressed := gzip.NewWriter(encoded)
	err := json.NewEncoder(compressed).Encode(value)
	if err == nil {
		err = compressed.Close()
	}
	if err == nil {
		err = encoded.Close()
	}
	if err != nil {
		return fmt.Errorf("probe: report as HTML: %w", err)
	}
	_, err = out.WriteString("</script>\n")
	return err
}

// contents is what the page shows without the details of the attempts.
type contents struct {
	Report *probe.Report    `json:"report"`
	Probes []probe.Probe    `json:"probes"`
	Rules  []probe.RuleText `json:"rules"`
	Rows   []contentsRow    `json:"rows"`

	column map[string]int
	at     map[string][]int
}

// contentsRow is an endpoint on the map.
type contentsRow struct {
	Method   string       `json:"method"`
	Path     string       `json:"path"`
	Route    string       `json:"route,omitempty"`
	Access   probe.Access `json:"access,omitempty"`
	Groups   []string     `json:"groups,omitempty"`
	Source   string       `json:"source,omitempty"`
	Findings []int        `json:"findings,omitempty"`
	// Verdicts and Evidence have an entry for each attempt: the column, then the verdict.
	Verdicts [][2]any `json:"verdicts"`
	Evidence []string `json:"evidence,omitempty"`
	Cut      bool     `json:"cut,omitempty"`
}

func newContents(r *probe.Report) *contents {
	short := *r
	short.Rows = nil
	short.Findings = make([]probe.Finding, len(r.Findings))
	for i, f := range r.Findings {
		if f.Endpoint.Path != "" {
			f.Attempts = nil // they are in the data of the row
		}
		f.Endpoint.Body = ""
		short.Findings[i] = f
	}
	c := &contents{
		Report: &short, Probes: probe.Probes(), Rules: probe.Rules(), Rows: []contentsRow{},
		column: make(map[string]int), at: byEndpoint(r.Findings),
	}
	for i, p := range c.Probes {
		c.column[p.Name] = i
	}
	return c
}

func (c *contents) add(row *probe.Row) {
	e := row.Endpoint
	short := contentsRow{
		Method: e.Method, Path: e.Path, Access: e.Access, Groups: e.Groups, Source: e.Source,
		Findings: c.at[e.String()], Verdicts: make([][2]any, 0, len(row.Attempts)), Cut: row.Cut,
	}
	if path, _, _ := strings.Cut(e.Path, "?"); e.Route != path {
		short.Route = e.Route
	}
	evidence, judged := make([]string, len(row.Attempts)), false
	for i := range row.Attempts {
		a := &row.Attempts[i]
		at, known := c.column[a.Probe]
		if !known {
			at = len(c.Probes)
			c.column[a.Probe] = at
			c.Probes = append(c.Probes, probe.Probe{Name: a.Probe, Group: "other", Title: a.Probe})
		}
		short.Verdicts = append(short.Verdicts, [2]any{at, a.Verdict})
		if a.Evidence != nil {
			evidence[i], judged = a.Evidence.Verdict, true
		}
	}
	if judged {
		short.Evidence = evidence
	}
	c.Rows = append(c.Rows, short)
}
