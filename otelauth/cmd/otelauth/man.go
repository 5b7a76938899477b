// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// manCommand writes the manual pages, in the language mdoc, from the definitions of the flags.
type manCommand struct {
	Output string `placeholder:"FOLDER" complete:"file" help:"Write every page into this folder, for man1."`
	Page   string `arg:"" optional:"" complete:"command" help:"Print the page of this command. Default: that of otelauth itself."`
}

// Run writes one page to standard output, or all pages to a folder.
func (c *manCommand) Run(t *terminal) error {
	var all commands
	parser, err := newParser(&all)
	if err != nil {
		return err
	}
	root := parser.Model.Node
	if c.Output == "" {
		node := root
		if c.Page != "" {
			if node = childNamed(root, c.Page); node == nil {
				return usageError{unknownCommand(root, c.Page)}
			}
		}
		_, err := io.WriteString(t.out, manPage(root, node))
		return err
	}
	if err := os.MkdirAll(c.Output, 0o755); err != nil { //nolint:gosec // manual pages are for everyone
		return err
	}
	for _, node := range append([]*kong.Node{root}, visible(root)...) {
		name := filepath.Join(c.Output, pageName(node)+".1")
		if err := os.WriteFile(name, []byte(manPage(root, node)), 0o644); err != nil { //nolint:gosec // manual pages are for everyone
			return err
		}
	}
	return nil
}

// visible returns the subcommands that help lists.
func visible(node *kong.Node) (all []*kong.Node) {
	for _, child := range node.Children {
		if !child.Hidden {
			all = append(all, child)
		}
	}
	return all
}

// pageName returns the name of the page of a command, such as otelauth-gateway.
func pageName(node *kong.Node) string {
	return strings.ReplaceAll(strings.TrimSpace("otelauth "+commandPath(node)), " ", "-")
}

// page builds a page in mdoc.
type page struct{ b strings.Builder }

func manPage(root, node *kong.Node) string {
	p := new(page)
	p.line(".Dd %s", buildDate().Format("January 2, 2006"))
	p.line(".Dt %s 1", strings.ToUpper(pageName(node)))
	p.line(".Os")
	p.line(".Sh NAME")
	p.line(".Nm %s", pageName(node))
	summary := node.Help
	p.line(".Nd %s", mdoc(strings.TrimSuffix(summary, ".")))
	p.line(".Sh SYNOPSIS")
	leaves := commandsOf(node)
	for _, leaf := range leaves {
		p.synopsis(leaf)
	}
	p.line(".Sh DESCRIPTION")
	p.text(summary)
	if node.Detail != "" {
		p.line(".Pp")
		p.text(node.Detail)
	}
	if node == root {
		p.line(".Pp\nThe commands are:")
		p.line(".Bl -tag -width Ds")
		for _, child := range visible(root) {
			p.line(".It Xr %s 1", pageName(child))
			p.text(child.Help)
		}
		p.line(".El")
	} else {
		for _, leaf := range leaves {
			p.command(node, leaf)
		}
	}
	p.end(node)
	return p.b.String()
}

// commandsOf returns the node, or its subcommands if it cannot run itself.
func commandsOf(node *kong.Node) []*kong.Node {
	if len(node.Children) == 0 || node.Parent == nil {
		return []*kong.Node{node}
	}
	var all []*kong.Node
	if len(node.Flags) > 0 || len(node.Positional) > 0 {
		all = append(all, node)
	}
	for _, child := range visible(node) {
		all = append(all, commandsOf(child)...)
	}
	return all
}

func (p *page) line(format string, args ...any) { fmt.Fprintf(&p.b, format+"\n", args...) }

// text writes sentences, each on a line of its own, as mdoc asks for.
func (p *page) text(s string) {
	for sentence := range strings.SplitSeq(strings.Join(strings.Fields(s), " "), ". ") {
		if sentence = strings.TrimSpace(sentence); sentence == "" {
			continue
		}
		if !strings.HasSuffix(sentence, ".") && !strings.HasSuffix(sentence, ":") {
			sentence += "."
		}
		p.line("%s", mdoc(sentence))
	}
}

var mdocEscapes = strings.NewReplacer(`\`, `\e`, "--", `\-\-`, "…", "...", "°", "")

// mdoc returns text that mdoc prints as it is.
func mdoc(s string) string {
	s = mdocEscapes.Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// word returns text as one argument of a macro.
func word(s string) string { return `"` + strings.ReplaceAll(mdoc(s), `"`, `\(dq`) + `"` }

func (p *page) synopsis(node *kong.Node) {
	p.line(".Nm otelauth")
	if path := commandPath(node); path != "" {
		p.line(".Cm %s", path)
	}
	if len(visible(node)) > 0 && node.Parent == nil {
		p.line(".Ar command")
	}
	if len(node.Flags) > 0 {
		p.line(".Op Ar flags")
	}
	for _, arg := range node.Positional {
		dots := ""
		if arg.IsSlice() {
			dots = " ..."
		}
		if arg.Required {
			p.line(".Ar %s%s", arg.Name, dots)
		} else {
			p.line(".Op Ar %s%s", arg.Name, dots)
		}
	}
}

// command writes the arguments and flags of a command; page is that of a parent, or node itself.
func (p *page) command(page, node *kong.Node) {
	if node != page {
		p.line(".Ss %s", mdoc(commandPath(node)))
		p.text(node.Help)
	}
	if len(node.Positional) > 0 {
		p.line(".Bl -tag -width Ds")
		for _, arg := range node.Positional {
			p.line(".It Ar %s", arg.Name)
			p.text(arg.Help)
		}
		p.line(".El")
	}
	p.flags(node)
}

// flags writes the flags of a node under the names of their groups.
func (p *page) flags(node *kong.Node) {
	var groups []string
	byGroup := make(map[string][]*kong.Flag)
	for _, flag := range node.Flags {
		if flag.Name == "help" {
			continue
		}
		group := ""
		if flag.Group != nil {
			group = flag.Group.Key
		}
		if byGroup[group] == nil {
			groups = append(groups, group)
		}
		byGroup[group] = append(byGroup[group], flag)
	}
	for _, group := range groups {
		if group != "" {
			p.line(".Ss %s", group)
		}
		p.line(".Bl -tag -width Ds")
		for _, flag := range byGroup[group] {
			name := mdoc("-" + flag.Name)
			if flag.IsBool() {
				p.line(".It Fl %s", name)
			} else {
				p.line(".It Fl %s Ns = Ns Ar %s", name, word(placeholder(flag)))
			}
			help, _, hasVariable := strings.Cut(flag.Help, " ($"+variablePrefix)
			p.text(help)
			if hasVariable {
				p.line("Variable:\n.Ev %s .", variable(flag.Name))
			}
		}
		p.line(".El")
	}
}

// placeholder returns what stands for the value of a flag.
func placeholder(flag *kong.Flag) string {
	if flag.Enum != "" && flag.PlaceHolder == "" {
		return strings.ReplaceAll(strings.TrimSuffix(flag.Enum, ","), ",", "|")
	}
	return strings.Trim(flag.FormatPlaceHolder(), `"`)
}

// end writes the sections that follow the description.
func (p *page) end(node *kong.Node) {
	path := commandPath(node)
	if path == "gateway" {
		p.line(".Sh ENVIRONMENT")
		p.text("Each setting has a variable, which its description names. A flag overrides the variable, the variable overrides the file, the file overrides the default. " +
			"The variables of OpenTelemetry configure telemetry. Without an exporter, events are JSON lines on standard error.")
		p.line(".Bl -tag -width Ds")
		p.line(".It Ev %s", dsnVariable)
		p.text("The data source of the database, instead of --sql-dsn-file.")
		for _, v := range telemetryVariables {
			p.line(".It Ev %s", word(v.setting))
			p.text(v.about)
		}
		p.line(".El")
	}
	p.line(".Sh EXIT STATUS")
	p.line(".Bl -tag -width Ds")
	for _, status := range exitStatuses {
		p.line(".It %d", status.code)
		p.text(status.about)
	}
	p.line(".El")
	p.examples(node)
	p.line(".Sh SEE ALSO")
	others := []string{"otelauth"}
	for _, child := range visible(rootOf(node)) {
		others = append(others, pageName(child))
	}
	var lines []string
	for _, other := range others {
		if other != pageName(node) {
			lines = append(lines, ".Xr "+other+" 1")
		}
	}
	slices.Sort(lines)
	p.line("%s", strings.Join(lines, " ,\n"))
}

func rootOf(node *kong.Node) *kong.Node {
	for node.Parent != nil {
		node = node.Parent
	}
	return node
}

// examples writes the examples of the command and of its subcommands.
func (p *page) examples(node *kong.Node) {
	all := examples[commandPath(node)]
	if node.Parent != nil {
		for _, child := range visible(node) {
			all = append(all, examples[commandPath(child)]...)
		}
	}
	if len(all) == 0 {
		return
	}
	p.line(".Sh EXAMPLES")
	for i, e := range all {
		if i > 0 {
			p.line(".Pp")
		}
		p.text(e.about)
		p.line(".Dl %s", mdoc(e.command))
	}
}

// exitStatuses are the exit codes, for the manual pages.
var exitStatuses = []struct {
	code  int
	about string
}{
	{exitDone, "Success."},
	{exitFailed, "A failure: the file cannot be edited, a line is invalid, no name was found, an address is in use, or a request was cut at the end."},
	{exitUsage, "The command line, the environment or the configuration is invalid."},
	{exitInterrupted, "A prompt was interrupted."},
}

// buildDate returns the time of the commit that was built, or the first day of the project's year.
func buildDate() time.Time {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t
			}
		}
	}
	return time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)
}
