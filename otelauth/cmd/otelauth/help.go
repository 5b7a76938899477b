// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/otelauth/otelauth-go/otelauth/cmd/otelauth/internal/nearest"
)

// helpCommand prints the help of a command.
type helpCommand struct {
	All     bool     `help:"Show the rare settings of the gateway too."`
	Command []string `arg:"" optional:"" complete:"command" help:"The command, such as users add. Default: the list of commands."`
}

// Run prints what --help prints.
func (c *helpCommand) Run(t *terminal) error {
	var all commands
	parser, err := newParser(&all, kong.Help(helpPrinter(c.All)))
	if err != nil {
		return err
	}
	parser.Stdout = t.out
	if err := knownCommand(parser.Model.Node, c.Command); err != nil {
		return usageError{err}
	}
	parser.Exit = func(int) {} // the help is printed before what is missing is an error
	_, _ = parser.Parse(append(slices.Clone(c.Command), "--help"))
	return nil
}

// knownCommand returns an error with a suggestion unless words name a command.
func knownCommand(node *kong.Node, words []string) error {
	for _, word := range words {
		next := childNamed(node, word)
		if next == nil {
			return unknownCommand(node, word)
		}
		node = next
	}
	return nil
}

func childNamed(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// unknownCommand returns the error for a word that is not a command of node. It shows the word
// only if it resembles one, because it may be a secret.
func unknownCommand(node *kong.Node, word string) error {
	var names []string
	for _, child := range node.Children {
		if !child.Hidden {
			names = append(names, child.Name)
		}
	}
	if len(names) == 0 {
		return errors.New("this command has no subcommands; see otelauth help")
	}
	if best := nearest.Name(word, names); best != "" {
		return fmt.Errorf("%s is not a command: did you mean %s?", quoted(shown(word)), best)
	}
	return fmt.Errorf("not a command (not shown, because it may be a secret): the commands are %s", strings.Join(names, ", "))
}

// helpPrinter returns kong's printer, with examples. Unless all is set it leaves out flags with
// the tag rare.
func helpPrinter(all bool) kong.HelpPrinter {
	return func(options kong.HelpOptions, ctx *kong.Context) error {
		node := ctx.Selected()
		if node == nil {
			node = ctx.Model.Node
		}
		rare := 0
		for _, flag := range node.Flags {
			if flag.Tag.Has("rare") && !all {
				flag.Hidden = true
				rare++
			}
		}
		if node.Name == "init" {
			for _, flag := range node.Parent.Flags {
				flag.Hidden = !slices.Contains(askedFlags, flag.Name)
			}
		}
		if node.Name == "gateway" {
			options.NoAppSummary = true // kong's own says that the subcommand is required
			fmt.Fprint(ctx.Stdout, "Usage: otelauth gateway [flags]\n       otelauth gateway init [file] [flags]\n")
		}
		if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
			return err
		}
		w := ctx.Stdout
		if rare > 0 {
			fmt.Fprintf(w, "\n%d more settings tune limits, hashing, events and detection: otelauth help --all gateway\n", rare)
		}
		if node.Name == "gateway" {
			fmt.Fprint(w, "\n"+telemetryHelp)
		}
		printExamples(w, commandPath(node))
		if node.Parent == nil {
			fmt.Fprintf(w, "\nEnable completion in your shell: otelauth completion --help\nDocumentation: https://github.com/otelauth/otelauth-go/tree/main/docs\n")
		}
		return nil
	}
}

// askedFlags are the flags that otelauth gateway init asks for.
var askedFlags = []string{"upstream", "users", "public", "trusted-proxy", "help"}

// commandPath returns the words of a command, such as "users add", or "" for the whole.
func commandPath(node *kong.Node) string {
	if node == nil || node.Parent == nil {
		return ""
	}
	return strings.TrimSpace(commandPath(node.Parent) + " " + node.Name)
}

func printExamples(w io.Writer, path string) {
	for i, e := range examples[path] {
		if i == 0 {
			fmt.Fprint(w, "\nExamples:\n")
		}
		fmt.Fprintf(w, "  # %s\n  %s\n", e.about, e.command)
	}
}

// telemetryVariables are the variables of OpenTelemetry that operators of a gateway need first.
var telemetryVariables = []struct{ setting, about string }{
	{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", "send traces, metrics and events to a collector"},
	{"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "over gRPC, usually port 4317; default http/protobuf"},
	{"OTEL_EXPORTER_OTLP_HEADERS=api-key=…", "headers for the collector or backend"},
	{"OTEL_METRICS_EXPORTER=prometheus", "serve metrics to Prometheus, at http://localhost:9464/metrics"},
	{"OTEL_EXPORTER_PROMETHEUS_HOST=0.0.0.0", "where they are served, with OTEL_EXPORTER_PROMETHEUS_PORT"},
	{"OTEL_TRACES_EXPORTER=none", "no traces; likewise OTEL_LOGS_EXPORTER for events"},
	{"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "record a part of the traces, with OTEL_TRACES_SAMPLER_ARG=0.1"},
	{"OTEL_SERVICE_NAME=shop-gateway", "service.name; default otelauth-gateway"},
	{"OTEL_SDK_DISABLED=true", "no telemetry; events are still JSON lines"},
}

// telemetryHelp is the section of the gateway's help about telemetry.
var telemetryHelp = func() string {
	var b strings.Builder
	b.WriteString("OpenTelemetry\n  The environment configures telemetry, as the OpenTelemetry specification says. Without an\n" +
		"  exporter, events are JSON lines on standard error. --check checks these variables too.\n\n")
	for _, v := range telemetryVariables {
		fmt.Fprintf(&b, "  %-50s %s\n", v.setting, v.about)
	}
	return b.String()
}()
