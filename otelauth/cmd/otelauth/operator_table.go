// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/otelauth/otelauth-go/otelauth/internal/legible"
)

// table is an aligned table of text. The texts of its cells are safe for a terminal.
type table struct {
	head    []string
	rows    [][]cell
	colours bool
}

// cell is a text with an optional colour.
type cell struct {
	text, colour string
	right        bool // aligned right, for numbers
}

// The colours, as parameters of the ANSI sequence SGR.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	dim    = "2"
	bold   = "1"
)

func newTable(t *terminal, head ...string) *table { return &table{head: head, colours: t.isTerminal()} }

// row adds a row of strings, numbers and cells.
func (t *table) row(values ...any) {
	row := make([]cell, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case cell:
			v.text = legible.Text(v.text)
			row[i] = v
		case string:
			row[i] = cell{text: legible.Text(v)}
		default:
			row[i] = cell{text: fmt.Sprint(v), right: true}
		}
		if row[i].text == "" {
			row[i].text = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// String returns the table, or "" without rows.
func (t *table) String() string {
	if len(t.rows) == 0 {
		return ""
	}
	widths := make([]int, len(t.head))
	for i, text := range t.head {
		widths[i] = utf8.RuneCountInString(text)
	}
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
		}
	}
	var b strings.Builder
	head := make([]cell, len(t.head))
	for i, text := range t.head {
		head[i] = cell{text: text, colour: bold, right: len(t.rows[0]) > i && t.rows[0][i].right}
	}
	for _, row := range append([][]cell{head}, t.rows...) {
		line := &strings.Builder{}
		for i, c := range row {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text))
			text := coloured(c.text, c.colour, t.colours)
			if c.right {
				text = padding + text
			} else {
				text += padding
			}
			line.WriteString(text)
			line.WriteString("  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

func coloured(text, colour string, on bool) string {
	if !on || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// isColourTerminal reports whether f is a terminal, unless NO_COLOR (no-color.org) or TERM=dumb
// says otherwise.
func isColourTerminal(f *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// ofOutcome returns an outcome in its colour.
func ofOutcome(outcome string) cell {
	c := cell{text: outcome}
	switch outcome {
	case "success":
		c.colour = green
	case "failure", "throttled", "error":
		c.colour = red
	case "malformed":
		c.colour = yellow
	}
	return c
}

// ago returns how long ago a moment was: "12s", "5m", "3h", "2d".
func ago(now, then time.Time) string {
	if then.After(now) {
		return "0s"
	}
	return short(now.Sub(then))
}

// in returns how long it is until a moment.
func in(now, then time.Time) string {
	if !then.After(now) {
		return "now"
	}
	return short(then.Sub(now) + time.Second - 1)
}

func short(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// clockOf returns a time for a table, in UTC like the rest of the telemetry.
func clockOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }
