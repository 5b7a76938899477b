// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package attempt_test

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// constants returns the name of each constant of this package, by its type and its value.
func constants(t *testing.T) map[string]map[string]string {
	t.Helper()
	fset := token.NewFileSet()
	//nolint:staticcheck // the package has no build constraints
	pkgs, err := parser.ParseDir(fset, ".", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0)
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, f := range pkgs["attempt"].Files {
		files = append(files, f)
	}
	cfg := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	pkg, err := cfg.Check("attempt", fset, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for _, name := range pkg.Scope().Names() {
		c, ok := pkg.Scope().Lookup(name).(*types.Const)
		if !ok {
			continue
		}
		_, of, _ := strings.Cut(c.Type().String(), ".")
		if all[of] == nil {
			all[of] = map[string]string{}
		}
		all[of][strings.Trim(c.Val().ExactString(), `"`)] = name
	}
	return all
}

// Each constant of an enumeration has a place in its table, so observers that iterate over the
// table have a place for it.
func TestTablesAreComplete(t *testing.T) {
	t.Parallel()
	declared := constants(t)
	for _, tc := range []struct {
		of     string
		listed []string
	}{
		{"Outcome", numbers(attempt.Outcomes())},
		{"ErrorType", numbers(attempt.ErrorTypes())},
		{"CacheResult", numbers(attempt.CacheResults())},
		{"Reason", texts(attempt.Reasons())},
		{"CoverageFinding", texts(attempt.CoverageFindings())},
		{"NoticeKind", texts(attempt.NoticeKinds())},
	} {
		listed := map[string]bool{}
		for _, value := range tc.listed {
			if listed[value] {
				t.Errorf("the table of %s has %s twice", tc.of, value)
			}
			listed[value] = true
			if declared[tc.of][value] == "" {
				t.Errorf("the table of %s has %s, which is not a constant", tc.of, value)
			}
		}
		for value, name := range declared[tc.of] {
			if !listed[value] {
				t.Errorf("%s (%s) is missing in the table of %s; add it there and to otelauth/semconv/registry", name, value, tc.of)
			}
		}
	}
}

func numbers[E ~uint8](values []E) (all []string) {
	for _, v := range values {
		all = append(all, fmt.Sprint(uint8(v)))
	}
	return all
}

func texts[S ~string](values []S) (all []string) {
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}

// The numbers and texts are stored in snapshots and queries, so they never change.
func TestNumbersAndTexts(t *testing.T) {
	t.Parallel()
	var got []string
	for _, o := range attempt.Outcomes() {
		got = append(got, fmt.Sprintf("outcome %d %s", uint8(o), o))
	}
	for _, e := range attempt.ErrorTypes() {
		got = append(got, fmt.Sprintf("error %d %s", uint8(e), e))
	}
	for _, c := range attempt.CacheResults() {
		got = append(got, fmt.Sprintf("cache %d %s", uint8(c), c))
	}
	want := []string{
		"outcome 0 error", "outcome 1 success", "outcome 2 missing", "outcome 3 malformed", "outcome 4 failure", "outcome 5 throttled",
		"error 0 ", "error 1 unsupported_scheme", "error 2 malformed_credentials", "error 3 invalid_credentials",
		"error 4 insecure_transport", "error 5 rate_limited", "error 6 overloaded", "error 7 accounts_unavailable",
		"error 8 trail_unavailable", "error 9 timeout", "error 10 canceled", "error 11 malformed_request", "error 12 _OTHER",
		"cache 0 ", "cache 1 hit", "cache 2 miss", "cache 3 coalesced",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if o, e, c := attempt.Outcome(99).Known(), attempt.ErrorType(99).Known(), attempt.CacheResult(99).Known(); o != attempt.Error || e != attempt.Other || c != attempt.NotLooked {
		t.Errorf("unknown values are %v, %v, %v", o, e, c)
	}
}
