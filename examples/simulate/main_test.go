// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// TestReplay checks that the table has every rule, and that the same seed gives the same run.
func TestReplay(t *testing.T) {
	t.Parallel()
	var first, second bytes.Buffer
	for _, out := range []*bytes.Buffer{&first, &second} {
		if err := run(t.Context(), []string{"-seed", "7", "-users", "100", "-days", "3"}, out); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != second.String() {
		t.Errorf("two runs of one seed differ:\n%s\n%s", &first, &second)
	}
	for _, r := range detect.Rules() {
		if n := strings.Count(first.String(), "\n"+r.Name+" "); n != 3 {
			t.Errorf("%s has %d rows; want one for each speed", r.Name, n)
		}
	}
	if !strings.Contains(first.String(), "\nhonest: ") {
		t.Errorf("the table has no line of honest users:\n%s", &first)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), []string{"-users", "many"}, new(bytes.Buffer)); err == nil {
		t.Error("-users many is accepted")
	}
}
