// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"fmt"
	"io"
	"strings"
)

// Table is a Markdown table. The zero value has no columns.
type Table struct {
	Header []string
	Rows   [][]string
}

// Add appends one row. WriteTo adds empty cells to a short row.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// WriteTo writes the table. The first column is aligned to the left, the others to the right.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	row := func(cells []string) {
		for i := range t.Header {
			cell := ""
			if i < len(cells) {
				cell = cells[i]
			}
			b.WriteString("| " + strings.ReplaceAll(cell, "|", `\|`) + " ")
		}
		b.WriteString("|\n")
	}
	row(t.Header)
	for i := range t.Header {
		if i == 0 {
			b.WriteString("| --- ")
			continue
		}
		b.WriteString("| ---: ")
	}
	b.WriteString("|\n")
	for _, cells := range t.Rows {
		row(cells)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// Ratio formats a ÷ b, or "–" when either is unknown.
func Ratio(a, b float64) string {
	if a != a || b != b || b == 0 {
		return "–"
	}
	r := a / b
	switch {
	case r >= 100:
		return fmt.Sprintf("%.0f ×", r)
	case r >= 10:
		return fmt.Sprintf("%.1f ×", r)
	case r >= 0.1:
		return fmt.Sprintf("%.2f ×", r)
	default:
		return fmt.Sprintf("%.4f ×", r)
	}
}
