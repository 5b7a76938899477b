// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test and fuzzer that docs/security.md names exists, and no figure is missing.
func TestSecurityPageNamesRealTests(t *testing.T) {
	t.Parallel()
	page := file(t, filepath.Join(root, "docs", "security.md"))
	if i := strings.IndexByte(page, '@'); i >= 0 {
		t.Errorf("a figure is missing at %q", page[i:min(len(page), i+20)])
	}
	declared := map[string]bool{}
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, "_test.go") {
			for _, match := range function.FindAllStringSubmatch(file(t, path), -1) {
				declared[match[1]] = true
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`((?:Test|Fuzz)\\w+)`").FindAllStringSubmatch(page, -1)
	if len(named) < 20 {
		t.Errorf("the page names %d tests", len(named))
	}
	for _, match := range named {
		if !declared[match[1]] {
			t.Errorf("there is no %s", match[1])
		}
	}
}
