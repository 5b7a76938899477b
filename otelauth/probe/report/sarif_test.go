// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/report"
)

// sarif returns the report as SARIF that the schema of OASIS accepts.
func sarif(t testing.TB, r *probe.Report) map[string]any {
	t.Helper()
	text, err := os.ReadFile("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := report.WriteSARIF(&out, r); err != nil {
		t.Fatal(err)
	}
	log, err := jsonschema.UnmarshalJSON(&out)
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(log); err != nil {
		t.Errorf("not valid: %v", err)
	}
	return log.(map[string]any)["runs"].([]any)[0].(map[string]any)
}

// at follows a path of keys and positions in JSON.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			v = v.(map[string]any)[p]
		case int:
			v = v.([]any)[p]
		}
		if v == nil {
			t.Fatalf("nothing at %v of %v", p, path)
		}
	}
	return v
}

func TestSARIF(t *testing.T) {
	t.Parallel()
	r := sample(t)
	run := sarif(t, r)
	results := at(t, run, "results").([]any)
	if len(results) != len(r.Findings) {
		t.Fatalf("%d results of %d findings", len(results), len(r.Findings))
	}
	i := slices.IndexFunc(r.Findings, func(f probe.Finding) bool { return f.ID == "open GET /export" })
	open := results[i]
	for _, c := range []struct {
		want any
		path []any
	}{
		{"open", []any{"ruleId"}},
		{"error", []any{"level"}},
		{"endpoints.txt", []any{"locations", 0, "physicalLocation", "artifactLocation", "uri"}},
		{json.Number("9"), []any{"locations", 0, "physicalLocation", "region", "startLine"}},
		{"GET /export", []any{"locations", 0, "logicalLocations", 0, "fullyQualifiedName"}},
		{"open GET /export", []any{"partialFingerprints", "otelauthFinding/v1"}},
		{"/export", []any{"webRequest", "target"}},
		{json.Number("200"), []any{"webResponse", "statusCode"}},
	} {
		if got := at(t, open, c.path...); got != c.want {
			t.Errorf("%v is %v, want %v", c.path, got, c.want)
		}
	}
	index, _ := at(t, open, "ruleIndex").(json.Number).Int64()
	rule := at(t, run, "tool", "driver", "rules", int(index))
	if at(t, rule, "id") != "open" || at(t, rule, "properties", "security-severity") != "9.5" {
		t.Errorf("the rule is %v", rule)
	}
	for k, want := range []string{"306", "8.2.1"} { // each relationship leads to its taxon
		target := at(t, rule, "relationships", k, "target")
		index, _ := at(t, target, "index").(json.Number).Int64()
		if got := at(t, run, "taxonomies", k, "taxa", int(index), "id"); got != want {
			t.Errorf("taxon %d of the rule is %v, want %s", k, got, want)
		}
	}
	suppressed := 0
	for _, res := range results {
		suppressed += len(at(t, res, "suppressions").([]any))
	}
	if suppressed != 1 {
		t.Errorf("%d findings are suppressed, want that of the baseline", suppressed)
	}
	notes := at(t, run, "invocations", 0, "toolExecutionNotifications").([]any)
	if len(notes) != len(r.NotTested) {
		t.Errorf("%d notifications of %d gaps", len(notes), len(r.NotTested))
	}
}

// TestSARIFIsValid validates reports at the edges.
func TestSARIFIsValid(t *testing.T) {
	t.Parallel()
	each := &probe.Report{Target: "http://127.0.0.1:1", Stopped: hostile}
	for _, rule := range probe.Rules() {
		each.Findings = append(each.Findings, probe.Finding{ID: string(rule.Rule), Rule: rule.Rule, Severity: rule.Severity, Detail: hostile})
	}
	for _, source := range []string{"openapi.yaml", "/etc/list of mine.txt:3", "a:b/list.txt", "router", "-", "list.txt:0", hostile} {
		e := probe.Endpoint{Method: "GET", Path: "/a{b}|c%zz%41//x:y?q=1" + hostile, Source: source}
		each.Findings = append(each.Findings, probe.Finding{
			ID: "x " + e.String(), Rule: probe.RulePath, Severity: probe.High, Endpoint: e,
			Attempts: []probe.Attempt{{Request: probe.Request{Method: "GET", Target: hostile, Body: hostile, Headers: []probe.Header{{Name: "A", Value: "1"}, {Name: "A", Value: hostile}}}}},
		})
		each.NotTested = append(each.NotTested, probe.Gap{Endpoint: e.String(), Why: hostile}, probe.Gap{Why: "x", Times: 7})
	}
	for _, r := range []*probe.Report{{Target: "http://127.0.0.1:1", Complete: true}, each} {
		sarif(t, r)
	}
}

// TestSARIFMessages sees that text of the target makes neither links nor placeholders.
func TestSARIFMessages(t *testing.T) {
	t.Parallel()
	r := &probe.Report{Target: "http://127.0.0.1:1", Findings: []probe.Finding{
		{ID: "1", Rule: probe.RuleOpen, Severity: probe.High, Detail: "see [here](https://evil.example) {0} \\ \u202e"},
	}}
	got := at(t, sarif(t, r), "results", 0, "message", "text")
	if want := `see \[here\](https://evil.example) {{0}} \\ ⟨U+202E⟩`; got != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
	if strings.Contains(got.(string), "\u202e") {
		t.Error("a mark of direction remains")
	}
}
