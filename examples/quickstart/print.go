// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"
)

// board prints attempts. An expected one goes to the caller of expect, any other is printed at
// once.
type board struct {
	mu      sync.Mutex
	out     io.Writer
	waiting map[string]chan story // by user agent
}

func newBoard(out io.Writer) *board {
	return &board{out: out, waiting: make(map[string]chan story)}
}

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
	b.print(s)
	b.documents(s)
}

const columns = "%-21s %-6s %-9s %-16s %-9s %s\n"

func (b *board) header() {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(b.out, columns, "attempt", "status", "outcome", "user", "cache", "trace id")
}

func (b *board) row(s story) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.print(s)
}

func (b *board) print(s story) {
	fmt.Fprintf(b.out, columns, cell(s.attempt, 21), cell(s.status, 6), cell(s.outcome, 9), cell(s.user, 16), cell(s.cache, 9), s.trace)
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
	fmt.Fprintf(b.out, "\nEach attempt can be found by its trace id. The telemetry of %q:\n", s.attempt)
	b.documents(s)
}

func (b *board) documents(s story) {
	if s.exported.event == nil {
		return
	}
	fmt.Fprintln(b.out, "\nTrace:")
	layOut(b.out, s.exported.spans)
	fmt.Fprintf(b.out, "\nMetric points; their exemplars hold the trace id in base64, %s:\n", base64.StdEncoding.EncodeToString(s.trace[:]))
	layOut(b.out, s.exported.points)
	fmt.Fprintln(b.out, "\nEvent:")
	layOut(b.out, s.exported.event)
	fmt.Fprintln(b.out)
}

func (b *board) invite(url string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fmt.Fprintf(b.out, "\nServing on %s until Ctrl-C. Every attempt is printed. Accounts: alice:wonderland, bob:builder, root:toor. Try:\n\n"+
		"    curl -i -u alice:wonderland %s/orders/7\n    curl -i -u bob:wrong %s/orders\n    curl -i -u root:toor %s/admin\n\n", url, url, url, url)
}
