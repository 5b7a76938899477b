// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"iter"
	"slices"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// rowsOf returns rows, or those of the report. A report without rows has the attempts that its
// findings keep as examples.
func rowsOf(r *probe.Report, rows iter.Seq2[probe.Row, error]) iter.Seq2[probe.Row, error] {
	if rows != nil {
		return rows
	}
	list := r.Rows
	if len(list) == 0 {
		list = examples(r)
	}
	return func(yield func(probe.Row, error) bool) {
		for _, row := range list {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// examples returns one row for each endpoint that has a finding.
func examples(r *probe.Report) []probe.Row {
	var rows []probe.Row
	at := make(map[string]int)
	for _, f := range r.Findings {
		if f.Endpoint.Path == "" {
			continue
		}
		key := f.Endpoint.String()
		i, known := at[key]
		if !known {
			i = len(rows)
			at[key] = i
			rows = append(rows, probe.Row{Endpoint: f.Endpoint})
		}
		for _, a := range f.Attempts {
			same := func(b probe.Attempt) bool { return a.ID == b.ID }
			if !slices.ContainsFunc(rows[i].Attempts, same) {
				rows[i].Attempts = append(rows[i].Attempts, a)
			}
		}
	}
	return rows
}

// byEndpoint returns the positions of the findings of each endpoint, and "" for those of the
// target.
func byEndpoint(findings []probe.Finding) map[string][]int {
	at := make(map[string][]int)
	for i, f := range findings {
		key := ""
		if f.Endpoint.Path != "" {
			key = f.Endpoint.String()
		}
		at[key] = append(at[key], i)
	}
	return at
}
