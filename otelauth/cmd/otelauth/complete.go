// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// The scripts pass the words of the command line to the hidden command __complete. It answers one
// candidate a line, with a tab and its description. The line filesLine asks the shell for files.

var (
	//go:embed completion/otelauth.bash
	bashCompletion string
	//go:embed completion/otelauth.zsh
	zshCompletion string
	//go:embed completion/otelauth.fish
	fishCompletion string
)

// filesLine is the answer that asks the shell to complete names of files.
const filesLine = ":files"

// completionCommand prints a completion script.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints the script.
func (c *completionCommand) Run(t *terminal) error {
	script := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	_, err := fmt.Fprint(t.out, script)
	return err
}

// completeCommand answers a completion script.
type completeCommand struct {
	Words []string `arg:"" optional:"" passthrough:"" help:"The words of the command line; the last one is completed."`
}

// Run prints the candidates for the last word.
func (c *completeCommand) Run(t *terminal) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	var all commands
	parser, err := newParser(&all)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(t.out)
	for _, line := range newCompletion(parser.Model.Node, words).candidates() {
		fmt.Fprintln(w, line)
	}
	return w.Flush()
}

// completion is a command line whose last word is to be completed.
type completion struct {
	node   *kong.Node
	args   []string          // positional arguments so far
	values map[string]string // the last value of each flag
	flag   *kong.Flag        // whose value the last word is; nil: none
	last   string
	prefix string // in front of each candidate: "--flag="
}

// newCompletion parses the words before the last one as far as completion needs it.
func newCompletion(root *kong.Node, words []string) *completion {
	c := &completion{node: root, values: make(map[string]string)}
	if len(words) > 0 {
		c.last, words = words[len(words)-1], words[:len(words)-1]
	}
	var pending *kong.Flag
	for _, word := range words {
		switch {
		case pending != nil:
			c.values[pending.Name], pending = word, nil
		case strings.HasPrefix(word, "--"):
			name, value, hasValue := strings.Cut(word[2:], "=")
			if flag := c.flagNamed(name); flag != nil && !hasValue && !flag.IsBool() {
				pending = flag
			}
			c.values[name] = value
		case childNamed(c.node, word) != nil && len(c.args) == 0:
			c.node = childNamed(c.node, word)
		default:
			c.args = append(c.args, word)
		}
	}
	c.flag = pending
	if name, value, hasValue := strings.Cut(strings.TrimPrefix(c.last, "--"), "="); pending == nil && hasValue && strings.HasPrefix(c.last, "--") {
		c.flag, c.last, c.prefix = c.flagNamed(name), value, "--"+name+"="
	}
	return c
}

func (c *completion) flagNamed(name string) *kong.Flag {
	for _, group := range c.node.AllFlags(false) {
		for _, flag := range group {
			if flag.Name == name {
				return flag
			}
		}
	}
	return nil
}

// candidates returns the lines of the answer.
func (c *completion) candidates() []string {
	switch {
	case c.flag != nil:
		return c.matching(c.valuesOf(c.flag.Value))
	case strings.HasPrefix(c.last, "-"):
		var all []string
		for _, group := range c.node.AllFlags(true) {
			for _, flag := range group {
				help, _, _ := strings.Cut(flag.Help, " ($"+variablePrefix)
				all = append(all, "--"+flag.Name+"\t"+firstSentence(help))
			}
		}
		slices.Sort(all)
		return c.matching(all)
	}
	var all []string
	if len(c.args) == 0 {
		for _, child := range c.node.Children {
			if !child.Hidden {
				all = append(all, child.Name+"\t"+firstSentence(child.Help))
			}
		}
	}
	if n := len(c.args); n < len(c.node.Positional) {
		all = append(all, c.valuesOf(c.node.Positional[n])...)
	} else if n > 0 && len(c.node.Positional) > 0 {
		if last := c.node.Positional[len(c.node.Positional)-1]; last.IsSlice() {
			all = append(all, c.valuesOf(last)...)
		}
	}
	return c.matching(all)
}

// matching returns the candidates that begin with the last word.
func (c *completion) matching(all []string) []string {
	var found []string
	for _, candidate := range all {
		if candidate == filesLine {
			found = append(found, candidate)
		} else if strings.HasPrefix(candidate, c.last) {
			found = append(found, c.prefix+candidate)
		}
	}
	return found
}

// valuesOf returns the values of a flag or an argument.
func (c *completion) valuesOf(v *kong.Value) []string {
	switch kind := v.Tag.Get("complete"); {
	case v.Enum != "":
		return slices.DeleteFunc(v.EnumSlice(), func(s string) bool { return s == "" })
	case kind == "account":
		return c.accounts()
	case kind == "rule":
		var all []string
		for _, r := range detect.Rules() {
			all = append(all, r.Name+"\t"+r.Summary)
		}
		return all
	case kind == "command":
		return c.commandsOfHelp()
	case kind == "file", v.Flag != nil && v.Flag.PlaceHolder == "FILE":
		return []string{filesLine}
	}
	return nil
}

// commandsOfHelp returns the commands beneath the words that otelauth help has so far.
func (c *completion) commandsOfHelp() (all []string) {
	node := c.node
	for node.Parent != nil {
		node = node.Parent
	}
	for _, word := range c.args {
		if node = childNamed(node, word); node == nil {
			return nil
		}
	}
	for _, child := range node.Children {
		if !child.Hidden {
			all = append(all, child.Name+"\t"+firstSentence(child.Help))
		}
	}
	return all
}

// maxCompletedAccounts bounds the names that a shell gets.
const maxCompletedAccounts = 1000

// accounts returns the names of the accounts in the file of the command line.
func (c *completion) accounts() []string {
	file := c.values["users"]
	if len(c.args) > 0 {
		file = c.args[0]
	}
	if rest, isHome := strings.CutPrefix(file, "~/"); isHome {
		if home, err := os.UserHomeDir(); err == nil {
			file = home + "/" + rest
		}
	}
	content, err := htpasswd.ReadContent(file)
	if err != nil {
		return nil
	}
	names := content.Names()
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return strings.ContainsAny(name, "\t\n") || shown(name) != name })
	return names[:min(len(names), maxCompletedAccounts)]
}

// firstSentence returns text up to its first full stop.
func firstSentence(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(first, ".")
}
