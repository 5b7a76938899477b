// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/otelauth/otelauth-go/otelauth/internal/scrub"
)

func main() { os.Exit(run(os.Args[1:])) }

// The exit codes. The package comment explains them.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnverified  = 3
	exitInterrupted = 130
)

// commands is the command line.
type commands struct {
	ShowVersion kong.VersionFlag `name:"version" help:"Print the version and exit."`

	Gateway    gatewayCommand    `cmd:"" help:"Serve authentication in front of a service."`
	Users      usersCommands     `cmd:"" help:"Edit the accounts of an htpasswd file."`
	Whois      whoisCommand      `cmd:"" help:"Find the account name behind a user.hash."`
	Status     statusCommand     `cmd:"" help:"Print the state of a running gateway."`
	Top        topCommand        `cmd:"" help:"Show a running gateway live: rates, attacks, who is blocked."`
	Attempts   attemptsCommand   `cmd:"" help:"Print recent attempts at a running gateway."`
	Episodes   episodesCommand   `cmd:"" help:"Print the attacks that a running gateway has detected, with their evidence."`
	Budgets    budgetsCommands   `cmd:"" help:"See who is blocked and why; unblock and block."`
	Detect     detectCommands    `cmd:"" help:"Try detection on the logs that you have."`
	Trail      trailCommands     `cmd:"" help:"Verify and read the tamper-evident trail of a service."`
	Probe      probeCommand      `cmd:"" help:"Find the endpoints of a service that answer without the right password."`
	Help       helpCommand       `cmd:"" help:"Print the help of a command."`
	Completion completionCommand `cmd:"" help:"Print the completion script of a shell."`
	Man        manCommand        `cmd:"" help:"Print a manual page."`
	Version    versionCommand    `cmd:"" help:"Print the version."`
	Complete   completeCommand   `cmd:"" name:"__complete" hidden:"" help:"Answer a completion script."`
}

// terminal holds the inputs and outputs of a command.
type terminal struct {
	in       *os.File
	out, err io.Writer
	now      func() time.Time
	args     []string
}

func run(args []string) int {
	t := &terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr, now: time.Now, args: args}
	err := t.run(args)
	var usage usageError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	}
	t.complain(err)
	switch {
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, errNotVerified):
		return exitUnverified
	}
	return exitFailed
}

func (t *terminal) run(args []string) error {
	var c commands
	parser, err := newParser(&c)
	if err != nil {
		return err
	}
	parser.Stdout, parser.Stderr = t.out, t.err
	parsed, err := parser.Parse(args)
	if err != nil {
		return usageError{sanitize(err, args)}
	}
	return parsed.Run(t)
}

func newParser(c *commands, options ...kong.Option) (*kong.Kong, error) {
	return kong.New(c, append([]kong.Option{
		kong.Name("otelauth"),
		kong.Description("HTTP Basic Auth in front of any service, with a record of every attempt."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true, NoExpandSubcommands: true}),
		kong.PostBuild(nameVariables),
		kong.Help(helpPrinter(false)),
		kong.Vars{"version": versionLine()},
	}, options...)...)
}

// sanitize rewrites kong's errors so that they do not show a secret that was typed as an argument.
func sanitize(err error, args []string) error {
	text := err.Error()
	if strings.HasPrefix(text, "unexpected argument") {
		hint := ""
		var parse *kong.ParseError
		if node, word := mistyped(err, &parse); node != nil && len(node.Children) > 0 {
			return unknownCommand(node, word)
		}
		if len(args) > 0 && args[0] == "users" {
			hint = ": a password cannot be an argument; enter it at the prompt or on standard input"
		}
		return fmt.Errorf("unexpected argument (not shown, because it may be a secret)%s; see --help", hint)
	}
	return fmt.Errorf("%s; see --help", strings.TrimSuffix(text, ";"))
}

// mistyped returns the command at which parsing stopped, and the word that is not one of its
// subcommands.
func mistyped(err error, parse **kong.ParseError) (*kong.Node, string) {
	if !errors.As(err, parse) || (*parse).Context == nil {
		return nil, ""
	}
	ctx := (*parse).Context
	node := ctx.Selected()
	if node == nil {
		node = ctx.Model.Node
	}
	_, word, _ := strings.Cut((*parse).Error(), "unexpected argument ")
	word, _, _ = strings.Cut(word, ", did you mean")
	return node, word
}

// complain writes each error of err on its own line, with flags for the names of fields.
func (t *terminal) complain(err error) {
	text, _ := withFlags(err.Error())
	for line := range strings.Lines(scrub.Text(text)) {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintf(t.err, "otelauth: %s\n", line)
		}
	}
}
