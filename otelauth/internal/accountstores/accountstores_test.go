// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package accountstores

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/internal/postgrestest"
	"github.com/otelauth/otelauth-go/otelauth/verify/verifytest"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// TestContract runs the conformance suite on every store.
func TestContract(t *testing.T) {
	t.Parallel()
	for _, k := range All() {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			verifytest.Run(t, k.Contract())
		})
	}
}

// isStore matches the method that every account store has.
var isStore = regexp.MustCompile(`(?m)^func \(.*\) Decoy\(key uint64\) \*password\.Hash`)

// TestEveryStoreIsListed finds the packages below verify that have an account store. Each must be
// used by a file of this package, or no test for all stores would test it.
func TestEveryStoreIsListed(t *testing.T) {
	t.Parallel()
	var used strings.Builder
	for _, path := range goFiles(t, ".") {
		used.WriteString(read(t, path))
	}
	found := 0
	for _, path := range append(goFiles(t, "../../verify"), goFiles(t, "../../verify/*")...) {
		if !isStore.MatchString(read(t, path)) {
			continue
		}
		found++
		pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "../../")
		if !strings.Contains(used.String(), `otelauth-go/otelauth/`+pkg+`"`) {
			t.Errorf("%s has an account store: add a line to All and a file that fills it", pkg)
		}
	}
	if found < 3 {
		t.Errorf("%d account stores found, want verify.Static, htpasswd.File and sqlstore.Store at least", found)
	}
}

// goFiles returns the files of a directory that are not tests.
func goFiles(t *testing.T, dir string) (paths []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if !strings.HasSuffix(path, "_test.go") {
			paths = append(paths, path)
		}
	}
	return paths
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
