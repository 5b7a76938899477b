// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package nearest suggests the name that a mistyped one may stand for.
package nearest

import "strings"

// leastFar is the number of edits from which a short name is not similar. In a longer name every
// fifth letter may be wrong.
const leastFar = 3

// Hint returns ": did you mean NAME?" for the name in known that is most similar to name, or "" if
// none is similar. It ignores case.
func Hint(name string, known []string) string {
	if best := Name(name, known); best != "" {
		return ": did you mean " + best + "?"
	}
	return ""
}

// Name returns the name in known that is most similar to name, or "" if none is similar.
func Name(name string, known []string) string {
	name = strings.ToLower(name)
	far := max(leastFar, len(name)/5+1)
	best, distance := "", far
	for _, k := range known {
		if d := edits(name, strings.ToLower(k), far); d < distance || d == distance && d < far && k < best {
			best, distance = k, d
		}
	}
	return best
}

// edits returns the Levenshtein distance of a and b, limited to far.
func edits(a, b string, far int) int {
	if len(a)-len(b) >= far || len(b)-len(a) >= far {
		return far
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return min(row[len(b)], far)
}
