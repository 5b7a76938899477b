// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package testkit_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestFullLengthIsRun: .ci/run runs tests at full length with the race detector, and without the
// race detector only what go test ./... runs. So a test that does less in both cases would never
// run at full length there.
func TestFullLengthIsRun(t *testing.T) {
	t.Parallel()
	functions := regexp.MustCompile(`(?ms)^func [^\n]*\{\n.*?^\}`)
	long := regexp.MustCompile(`testkit\.(OnlyLong|Repeats|Long)\b`)
	race := regexp.MustCompile(`testkit\.Race\b`)
	files := 0
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		for _, f := range functions.FindAll(text, -1) {
			if long.Match(f) && race.Match(f) {
				name, _, _ := strings.Cut(string(f), "(t ")
				t.Errorf("%s: %s depends on -tags long and on the race detector; keep one of them", path, name)
			}
		}
		return err
	})
	if err != nil || files < 100 {
		t.Fatalf("%d files: %v", files, err)
	}
}
