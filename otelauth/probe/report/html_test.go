// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/report"
)

// page returns the report as HTML.
func page(t testing.TB, r *probe.Report) string {
	t.Helper()
	var out bytes.Buffer
	if err := report.WriteHTML(&out, r, nil); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

var (
	dataBlock   = regexp.MustCompile(`<script type="application/octet-stream" id="([a-z0-9-]+)">([A-Za-z0-9+/=]*)</script>\n`)
	styleBlock  = regexp.MustCompile(`(?s)<style>(.*)</style>`)
	scriptBlock = regexp.MustCompile(`(?s)<script>(.*)</script>\n</html>\n$`)
)

// checkPage sees that the page has its own parts and nothing of the report outside of data blocks.
// It returns the data.
func checkPage(t testing.TB, text string, rows int) map[string]json.RawMessage {
	t.Helper()
	data := make(map[string]json.RawMessage)
	for _, m := range dataBlock.FindAllStringSubmatch(text, -1) {
		compressed, err := base64.StdEncoding.DecodeString(m[2])
		if err != nil {
			t.Fatal(err)
		}
		r, err := gzip.NewReader(bytes.NewReader(compressed))
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := json.NewDecoder(r).Decode(&value); err != nil {
			t.Fatal(err)
		}
		data[m[1]] = value
	}
	if len(data) != rows+1 || data["contents"] == nil {
		t.Errorf("%d data blocks, want one for each of %d rows and the contents", len(data), rows)
	}
	rest := dataBlock.ReplaceAllString(text, "")
	script, style := scriptBlock.FindStringSubmatch(rest), styleBlock.FindStringSubmatch(rest)
	if script == nil || style == nil {
		t.Fatal("no script or no style")
	}
	for _, part := range []string{script[1], style[1]} {
		sum := sha256.Sum256([]byte(part))
		if source := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(rest, source) {
			t.Errorf("the policy does not allow the script or style with %s", source)
		}
	}
	rest = strings.NewReplacer(script[1], "", style[1], "").Replace(rest)
	if n := strings.Count(rest, "<script"); n != 1 {
		t.Errorf("%d scripts besides the data, want 1", n)
	}
	for _, never := range []string{"onerror", "src=", "http://", "javascript:", "style=\""} {
		if strings.Contains(rest, never) {
			t.Errorf("the page has %q outside of its data", never)
		}
	}
	return data
}

func TestHTML(t *testing.T) {
	t.Parallel()
	r := sample(t)
	data := checkPage(t, page(t, r), len(r.Rows))
	var contents struct {
		Report probe.Report
		Probes []probe.Probe
		Rows   []struct {
			Path     string
			Verdicts [][2]any
			Findings []int
		}
	}
	if err := json.Unmarshal(data["contents"], &contents); err != nil {
		t.Fatal(err)
	}
	for i, row := range contents.Rows {
		want := r.Rows[i]
		if row.Path != want.Endpoint.Path || len(row.Verdicts) != len(want.Attempts) || len(row.Findings) != len(want.Findings) {
			t.Errorf("row %d is %v, want that of %s", i, row, want.Endpoint)
		}
		for k, v := range row.Verdicts {
			if a := want.Attempts[k]; contents.Probes[int(v[0].(float64))].Name != a.Probe || v[1] != string(a.Verdict) {
				t.Errorf("attempt %d of %s is %v", k, want.Endpoint, v)
			}
		}
		var attempts []probe.Attempt
		if err := json.Unmarshal(data[fmt.Sprintf("row-%d", i)], &attempts); err != nil || len(attempts) != len(want.Attempts) {
			t.Errorf("the data of row %d has %d attempts: %v", i, len(attempts), err)
		}
	}
	if got, want := len(contents.Report.Findings), len(r.Findings); got != want {
		t.Errorf("%d findings, want %d", got, want)
	}
	if len(contents.Report.Rows) > 0 {
		t.Error("the contents hold the attempts too")
	}
	if len(r.Rows) == 0 || len(r.Findings[0].Attempts) == 0 {
		t.Error("the report was changed")
	}
}

// TestNoPasswords sees that no report shows a password or the credentials that hold it.
func TestNoPasswords(t *testing.T) {
	t.Parallel()
	r := sample(t)
	var all strings.Builder
	for _, value := range checkPage(t, page(t, r), len(r.Rows)) {
		all.Write(value)
	}
	for _, write := range []func() error{
		func() error { return report.WriteSARIF(&all, r) },
		func() error { return report.WriteJUnit(&all, r, nil, probe.Low) },
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	for _, secret := range []string{"correct horse", "battery staple"} {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte("alice:" + secret)), base64.StdEncoding.EncodeToString([]byte("bob:" + secret))} {
			if strings.Contains(all.String(), form) {
				t.Errorf("a report shows %q", form)
			}
		}
	}
}

// TestWithoutRows uses the attempts that findings keep.
func TestWithoutRows(t *testing.T) {
	t.Parallel()
	r := sample(t)
	r.Rows = nil
	endpoints := make(map[string]bool)
	for _, f := range r.Findings {
		endpoints[f.Endpoint.String()] = true
	}
	checkPage(t, page(t, r), len(endpoints))
}
