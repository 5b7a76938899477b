// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

func defaultThresholds(t *testing.T) (th Thresholds) {
	t.Helper()
	for _, err := range th.complete() {
		t.Error(err)
	}
	return th
}

// TestTableOfRules compares the parts of the table with each other: no row may be missing or
// incomplete.
func TestTableOfRules(t *testing.T) {
	t.Parallel()
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	technique := regexp.MustCompile(`^T\d{4}(\.\d{3})?$`)
	seen := map[string]bool{}
	for id, r := range rules {
		if r.Name == "" {
			t.Errorf("wire number %d has no row in the table rules", id)
			continue
		}
		if seen[r.Name] || seen[r.UUID] {
			t.Errorf("%s: another row has its name or UUID; choose new ones", r.Name)
		}
		seen[r.Name], seen[r.UUID] = true, true
		if !uuid.MatchString(r.UUID) || !technique.MatchString(r.Technique) {
			t.Errorf("%s: UUID %q must be of version 5 and technique %q of MITRE ATT&CK", r.Name, r.UUID, r.Technique)
		}
		if r.keys == byRule || r.Summary == "" || r.Default == "" {
			t.Errorf("%s: the row needs keys, Summary and Default", r.Name)
		}
		if d := described[id].Default; strings.ContainsAny(d, "{}") {
			t.Errorf("%s: Default names a field that no row declares as threshold: %s", r.Name, d)
		}
	}
}

// TestThresholdsAreDeclared: each field of Thresholds is declared by one row, within its own
// bounds, and its comment states the default of that row.
func TestThresholdsAreDeclared(t *testing.T) {
	t.Parallel()
	comments := commentsOf(t, "rule.go", "Thresholds")
	declared := map[string]string{}
	for _, r := range rules {
		for _, h := range r.thresholds {
			if other := declared[h.field]; other != "" {
				t.Errorf("%s and %s both declare the threshold %s", other, r.Name, h.field)
			}
			declared[h.field] = r.Name
			if _, ok := reflect.TypeFor[Thresholds]().FieldByName(h.field); !ok {
				t.Errorf("%s: Thresholds has no field %s", r.Name, h.field)
				continue
			}
			if h.byDefault < h.least || h.byDefault > h.most || h.least < 1 {
				t.Errorf("%s: the default %d of %s is not between %d and %d", r.Name, h.byDefault, h.field, h.least, h.most)
			}
			if want := "Default: " + h.text(&Thresholds{}, h.byDefault) + "."; !strings.Contains(comments[h.field], want) {
				t.Errorf("the comment of Thresholds.%s must contain %q", h.field, want)
			}
		}
	}
	for f := range reflect.TypeFor[Thresholds]().Fields() {
		if declared[f.Name] == "" {
			t.Errorf("no row of the table declares the threshold %s", f.Name)
		}
	}
}

// commentsOf returns the comments of the fields of a struct, by field.
func commentsOf(t *testing.T, file, name string) map[string]string {
	t.Helper()
	src, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	ast.Inspect(src, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != name {
			return true
		}
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			for _, id := range f.Names {
				comments[id.Name] = strings.Join(strings.Fields(f.Doc.Text()), " ")
			}
		}
		return false
	})
	return comments
}

// TestRuleNamesAreExported: each rule has an exported constant, for Config.On and Config.Off.
func TestRuleNamesAreExported(t *testing.T) {
	t.Parallel()
	src, err := parser.ParseFile(token.NewFileSet(), "rule.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	exported := map[string]bool{}
	ast.Inspect(src, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if ok && spec.Names[0].IsExported() && len(spec.Values) == 1 {
			if v, ok := spec.Values[0].(*ast.BasicLit); ok {
				exported[strings.Trim(v.Value, `"`)] = true
			}
		}
		return true
	})
	for _, r := range Rules() {
		if !exported[r.Name] {
			t.Errorf("rule.go has no exported constant %q", r.Name)
		}
		delete(exported, r.Name)
	}
	for name := range exported {
		t.Errorf("rule.go exports %q, which is not the name of a rule", name)
	}
}
