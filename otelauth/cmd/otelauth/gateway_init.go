// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// gatewayInit writes a configuration file.
type gatewayInit struct {
	File         string `arg:"" optional:"" default:"gateway.yaml" complete:"file" help:"The configuration file to write. Default: gateway.yaml."`
	OTLPEndpoint string `name:"otlp-endpoint" placeholder:"URL" help:"The OpenTelemetry collector that will receive the telemetry; the file and the output show which variable to set. Default: none, events are JSON lines on standard error."`
	Force        bool   `help:"Replace an existing file."`
}

// Run asks for what the flags do not set, writes the file and checks it. It asks nothing if
// standard input is not a terminal.
func (c *gatewayInit) Run(t *terminal, g *gatewayCommand, k *kong.Context) error {
	if _, err := os.Lstat(c.File); err == nil && !c.Force {
		return fmt.Errorf("%s exists: name another file, or replace it with --force", c.File)
	}
	given := make(map[string]bool)
	for _, p := range k.Path {
		if p.Flag != nil && !isOnlyFlag(p.Flag.Name) {
			given[p.Flag.Name] = true
		}
	}
	q := &questions{t: t, given: given, lines: bufio.NewReader(t.in), asks: term.IsTerminal(int(t.in.Fd()))}
	if err := c.ask(q, &g.gatewayFlags); err != nil {
		return err
	}
	if given["upstream"] && given["forward-auth"] {
		given["upstream"] = false // the error of --forward-auth says what to do
	}
	text, err := c.text(given, gatewayNode(k.Kong).Flags)
	if err != nil {
		return err
	}
	if err := c.write(text); err != nil {
		return err
	}
	t.print("wrote %s", c.File)
	t.print("check it:  otelauth gateway --check --config %s", c.File)
	start := "otelauth gateway --config " + c.File
	if c.OTLPEndpoint != "" {
		start = "OTEL_EXPORTER_OTLP_ENDPOINT=" + c.OTLPEndpoint + " " + start
	}
	t.print("start it:  %s", start)
	return nil
}

// ask asks the five questions and sets the flags.
func (c *gatewayInit) ask(q *questions, f *gatewayFlags) (err error) {
	if !q.given["forward-auth"] && !q.given["upstream"] {
		if f.Upstream, err = q.ask("upstream", "1. Which service does the gateway protect? A URL", "http://127.0.0.1:8000"); err != nil {
			return err
		}
	}
	if !q.given["users"] && !q.given["sql-driver"] {
		if f.Users, err = q.ask("users", "2. In which file are the accounts? An htpasswd file", "users.htpasswd"); err != nil {
			return err
		}
	}
	if f.Users != "" && !f.sqlFlags.isSet() {
		if err := q.firstAccount(f.Users); err != nil {
			return err
		}
	}
	if err = q.list("public", "3. Which paths need no credentials? Patterns such as /static/ or GET /healthz, separated by commas (empty: none)", &f.Public); err != nil {
		return err
	}
	if err = q.list("trusted-proxy", "4. Is a proxy in front? Its networks, such as 10.0.0.0/8, separated by commas (empty: no proxy)", &f.TrustedProxy); err != nil {
		return err
	}
	if c.OTLPEndpoint == "" {
		c.OTLPEndpoint, err = q.ask("", "5. Where does telemetry go? The URL of a collector, such as http://127.0.0.1:4318 (empty: JSON lines on standard error)", "")
	}
	if u, e := url.Parse(c.OTLPEndpoint); err == nil && (e != nil || u.User != nil || c.OTLPEndpoint != "" && u.Host == "") {
		err = usageError{errors.New("the endpoint of the collector (not shown) is not a URL such as http://127.0.0.1:4318, without a password")}
	}
	return err
}

// text returns the file: the flags that are given, each with its help.
func (c *gatewayInit) text(given map[string]bool, flags []*kong.Flag) (string, error) {
	var b strings.Builder
	b.WriteString("# The configuration of otelauth gateway. A key is the name of a flag; flags and variables override it.\n" +
		"# All keys: otelauth help --all gateway. Check the file: otelauth gateway --check --config FILE.\n")
	if c.OTLPEndpoint != "" {
		fmt.Fprintf(&b, "# Telemetry is configured by the environment: OTEL_EXPORTER_OTLP_ENDPOINT=%s\n", c.OTLPEndpoint)
	}
	for _, flag := range flags {
		if !given[flag.Name] || isOnlyFlag(flag.Name) {
			continue
		}
		value, err := settingText(flag.Target.Interface())
		if err != nil {
			return "", err
		}
		if value == "" {
			continue
		}
		if !strings.HasPrefix(value, "\n") {
			value = " " + value
		}
		help, _, _ := strings.Cut(flag.Help, " ($"+variable(flag.Name))
		fmt.Fprintf(&b, "\n%s%s:%s\n", comment(help), flag.Name, value)
	}
	return b.String(), nil
}

// comment returns text as comment lines of at most 100 columns.
func comment(text string) string {
	var b strings.Builder
	line := "#"
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > 100 {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

// write writes the file if the gateway accepts it.
func (c *gatewayInit) write(text string) error {
	tmp, err := os.CreateTemp(filepath.Dir(c.File), ".otelauth-init-*.yaml")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // renamed if all went well
	_, err = io.WriteString(tmp, text)
	if err := errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err := acceptable(tmp.Name()); err != nil {
		return usageError{errors.New(strings.ReplaceAll(err.Error(), tmp.Name(), c.File))}
	}
	if err := os.Chmod(tmp.Name(), 0o644); err != nil { //nolint:gosec // it holds no secret, and the gateway may run as another user
		return err
	}
	return os.Rename(tmp.Name(), c.File)
}

// acceptable returns why the gateway would refuse a configuration file.
func acceptable(path string) error {
	l, err := load(context.Background(), []string{"gateway", "--config", path}, func(string) string { return "" })
	if err == nil {
		l.close()
	}
	return err
}

// questions asks on a terminal for settings that no flag gives.
type questions struct {
	t     *terminal
	given map[string]bool
	lines *bufio.Reader
	asks  bool
}

// ask returns the answer, or preset for an empty one. Without a terminal it returns preset.
func (q *questions) ask(flag, question, preset string) (string, error) {
	answer := preset
	if q.asks {
		if preset != "" {
			question += " [" + preset + "]"
		}
		fmt.Fprintf(q.t.err, "%s: ", question)
		line, err := q.lines.ReadString('\n')
		if err != nil {
			return "", errors.New("the input ended; nothing was written")
		}
		if line = strings.TrimSpace(line); line != "" {
			answer = line
		}
	}
	q.given[flag] = answer != ""
	return answer, nil
}

// list asks for a list that no flag gives.
func (q *questions) list(flag, question string, target *[]string) error {
	if q.given[flag] {
		return nil
	}
	answer, err := q.ask(flag, question, "")
	for item := range strings.SplitSeq(answer, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*target = append(*target, item)
		}
	}
	return err
}

// firstAccount creates a missing file of accounts with one account.
func (q *questions) firstAccount(file string) error {
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return nil // the check of the file reports other errors
	}
	if !q.asks {
		return fmt.Errorf("--users: %s does not exist: create it with: otelauth users add %s NAME", file, file)
	}
	name, err := q.ask("", "   "+file+" does not exist. The name of its first account", "")
	if err != nil {
		return err
	}
	if name == "" {
		return fmt.Errorf("--users: %s does not exist: create it with: otelauth users add %s NAME", file, file)
	}
	add := usersAdd{account: account{File: file, Name: name}, hashing: hashing{Scheme: "argon2id"}}
	return add.Run(q.t)
}
