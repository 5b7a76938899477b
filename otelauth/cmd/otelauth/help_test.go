// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

func rootNode(t *testing.T) (*kong.Kong, *kong.Node) {
	t.Helper()
	k, err := newParser(new(commands))
	if err != nil {
		t.Fatal(err)
	}
	return k, k.Model.Node
}

// everyCommand returns the root and all commands that help lists.
func everyCommand(node *kong.Node) []*kong.Node {
	all := []*kong.Node{node}
	for _, child := range visible(node) {
		all = append(all, everyCommand(child)...)
	}
	return all
}

// words splits a command line at spaces, except within single quotes.
func wordsOf(line string) (words []string) {
	for _, m := range regexp.MustCompile(`'([^']*)'|\S+`).FindAllStringSubmatch(line, -1) {
		word := m[0]
		if m[1] != "" {
			word = m[1]
		}
		words = append(words, word)
	}
	return words
}

// TestExamples checks that every command has examples, and that they are valid command lines.
func TestExamples(t *testing.T) {
	t.Parallel()
	_, root := rootNode(t)
	known := make(map[string]bool)
	for _, node := range everyCommand(root) {
		path := commandPath(node)
		known[path] = true
		runs := len(visible(node)) == 0 || len(node.Flags) > 0
		if runs && len(examples[path]) == 0 && !strings.Contains(node.Detail, "otelauth ") {
			t.Errorf("otelauth %s has no examples: add some to the table in examples.go", path)
		}
		for _, e := range examples[path] {
			line, _, _ := strings.Cut(e.command, " < ")
			line, _, _ = strings.Cut(line, " > ")
			line, _, _ = strings.Cut(line, " | ")
			_, line, found := strings.Cut(" "+line, " otelauth ")
			k, _ := rootNode(t)
			if _, err := k.Parse(wordsOf(line)); !found || err != nil {
				t.Errorf("%s: the example %q is not valid: %v", path, e.command, err)
			}
			if !strings.HasPrefix(line+" ", path) && path != "" {
				t.Errorf("%s: the example %q is of another command", path, e.command)
			}
			if !strings.HasSuffix(e.about, ".") && !strings.HasSuffix(e.about, "?") {
				t.Errorf("%s: %q has no full stop", path, e.about)
			}
		}
	}
	for path := range examples {
		if !known[path] {
			t.Errorf("examples.go has examples of %q, which is not a command", path)
		}
	}
}

// TestHelpTexts checks that every command, argument and flag has a help text: sentences.
func TestHelpTexts(t *testing.T) {
	t.Parallel()
	_, root := rootNode(t)
	for _, node := range everyCommand(root) {
		check := func(what, text string) {
			text, _, _ = strings.Cut(text, " ($"+variablePrefix)
			if len(text) < 10 || !strings.HasSuffix(strings.TrimSuffix(text, ")"), ".") && !strings.HasSuffix(text, "?") {
				t.Errorf("%s %s: the help is not a sentence: %q", commandPath(node), what, text)
			}
		}
		check("itself", node.Help)
		for _, arg := range node.Positional {
			check(arg.Name, arg.Help)
		}
		for _, flag := range node.Flags {
			check("--"+flag.Name, flag.Help)
		}
	}
}

// TestManualPages checks every page with mandoc's own linter, and that each flag is on a page.
func TestManualPages(t *testing.T) {
	t.Parallel()
	need(t, "mandoc")
	_, root := rootNode(t)
	dir := t.TempDir()
	if err := (&manCommand{Output: dir}).Run(new(terminal)); err != nil {
		t.Fatal(err)
	}
	for _, node := range append([]*kong.Node{root}, visible(root)...) {
		file := filepath.Join(dir, pageName(node)+".1")
		if out, err := exec.CommandContext(t.Context(), "mandoc", "-T", "lint", "-W", "warning", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", pageName(node), err, out)
		}
		out, err := exec.CommandContext(t.Context(), "mandoc", "-T", "ascii", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		text := regexp.MustCompile(".\b").ReplaceAllString(string(out), "") // bold is overstruck
		for _, child := range everyCommand(node) {
			if node == root {
				break
			}
			for _, flag := range child.Flags {
				if flag.Name != "help" && !strings.Contains(text, "--"+flag.Name) {
					t.Errorf("%s does not have --%s", pageName(node), flag.Name)
				}
			}
		}
	}
	var out bytes.Buffer
	if err := (&manCommand{Page: "gateway"}).Run(&terminal{out: &out}); err != nil || !strings.Contains(out.String(), "OTEL_METRICS_EXPORTER=prometheus") {
		t.Errorf("the page of the gateway does not have the variables of OpenTelemetry: %v", err)
	}
}
