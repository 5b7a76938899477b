// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"unicode/utf8"

	"golang.org/x/term"
)

// board prints attempts. An expected one goes to the caller of expect, any other is printed at
// once.
type board struct {
	mu      sync.Mutex
	out     io.Writer
	json    bool // print all telemetry of every attempt as JSON
	colors  bool
	waiting map[string]chan story // by user agent
}

func newBoard(out io.Writer, json bool) *board {
	return &board{out: out, json: json, colors: hasColors(out), waiting: make(map[string]chan story)}
}

// hasColors reports whether out is a terminal whose user wants colours, see https://no-color.org.
func hasColors(out io.Writer) bool {
	file, isFile := out.(*os.File)
	return isFile && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func (b *board) paint(code, text string) string {
	if !b.colors {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (b *board) bold(text string) string { return b.paint("1", text) }

// expect returns a channel that receives the next story of that user agent.
func (b *board) expect(agent string) <-chan story {
	reported := make(chan story, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting[agent] = reported
	return reported
}

// report blocks on nothing but the output.
func (b *board) report(s story) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if reported, ok := b.waiting[s.agent]; ok {
		delete(b.waiting, s.agent)
		reported <- s
		return
	}
	if isOfConsole(&s) {
		return
	}
	b.print(s)
	if b.json && s.exported.event != nil {
		writeJSON(b.out, &s)
	}
}

// verdict is the part of a row that has a colour.
const verdict = "%-6s %-9s"

// The cells of a row. Colours are around whole cells, so that they do not change the width.
const columns = "%-21s %s %-16s %-9s %s\n"

func (b *board) header() {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprint(b.out, b.bold(fmt.Sprintf(columns, "attempt", fmt.Sprintf(verdict, "status", "outcome"), "user", "cache", "trace id")))
}

func (b *board) row(s story) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.print(s)
}

func (b *board) print(s story) {
	color := "32" // green
	if s.outcome != "success" || s.status >= "4" {
		color = "31" // red
	}
	said := b.paint(color, fmt.Sprintf(verdict, cell(s.status, 6), cell(s.outcome, 9)))
	fmt.Fprintf(b.out, columns, cell(s.attempt, 21), said, cell(s.user, 16), cell(s.cache, 9), s.trace)
}

// cell shortens a value to its column.
func cell(value string, width int) string {
	switch {
	case value == "":
		return "-"
	case utf8.RuneCountInString(value) > width:
		return string([]rune(value)[:width-1]) + "…"
	}
	return value
}

// whole prints all telemetry of one attempt.
func (b *board) whole(s story) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.exported.event == nil {
		fmt.Fprintln(b.out, "\nSpans, metrics and events are exported as the OTEL_ variables configure.")
		return
	}
	if b.json {
		fmt.Fprintf(b.out, "\nThe telemetry of %q, as exported:\n", s.attempt)
		writeJSON(b.out, &s)
		return
	}
	fmt.Fprintf(b.out, "\nEach attempt is found by its trace id. This was recorded for %q (--json prints all of it):\n", s.attempt)
	b.writePage(&s)
}

func (b *board) invite(url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(b.out, "\nServing on %s until Ctrl-C; each attempt adds a line.\nAccounts: alice:wonderland, bob:builder, root:toor.\n"+
		"See attempts and attacks in a browser, as root: %s"+consolePath+"\nTry:\n\n"+
		"    curl -i -u alice:wonderland %s/orders/7\n    curl -i -u bob:wrong %s/orders\n    curl -i -u root:toor %s/admin\n\n", url, url, url, url, url)
}
