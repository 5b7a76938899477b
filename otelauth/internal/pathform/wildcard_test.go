// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package pathform_test

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// isUnder reports whether a pattern holds for the segments of a path, or for the first of them,
// where a wildcard stands for any number of segments. It tries all of them.
func isUnder(pattern, segments []string) bool {
	switch {
	case len(pattern) == 0:
		return true
	case pattern[0] == "{x}":
		return isUnder(pattern[1:], segments) || len(segments) > 0 && isUnder(pattern, segments[1:])
	}
	return len(segments) > 0 && pattern[0] == segments[0] && isUnder(pattern[1:], segments[1:])
}

// Where a slash may be data, a wildcard takes as many segments as the rest of the pattern needs.
func TestWildcardTakesWhatTheRestNeeds(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	some := func(n int, of ...string) (list []string) {
		for range 1 + r.IntN(n) {
			list = append(list, of[r.IntN(len(of))])
		}
		return list
	}
	under := 0
	for range 20_000 {
		parts, segments := some(5, "a", "b", "c", "{x}", "{x}"), some(8, "a", "b", "c")
		text := "/" + strings.Join(parts, "/")
		for i := strings.Count(text, "{x}"); i > 0; i-- { // ServeMux wants names to differ
			text = strings.Replace(text, "{x}", "{x"+strings.Repeat("x", i)+"}", 1)
		}
		// the slash at the end makes each a slash that may be data
		path := "/" + strings.Join(segments, "/") + "%2F"
		want := isUnder(parts, segments)
		if got := pattern(t, text).Restricts(read(t, path)); got != want {
			t.Fatalf("%s restricts %s: %v, want %v", text, path, got, want)
		}
		if want {
			under++
		}
	}
	if under < 1000 {
		t.Errorf("%d of the paths are under their pattern", under)
	}
}
