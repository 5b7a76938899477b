// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// TestReplay checks that the table has every rule that is on by default, and that the same seed
// gives the same run.
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
		want := 3
		if r.Optional {
			want = 0
		}
		if n := strings.Count(first.String(), "\n"+r.Name+" "); n != want {
			t.Errorf("%s has %d rows, want %d: one for each speed if it is on by default", r.Name, n, want)
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
