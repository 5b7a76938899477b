// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/operator"
)

// operatorVariable names the API for the commands that call it.
const operatorVariable = variablePrefix + "OPERATOR"

// apiFlags are the flags of the commands that call the operator's API.
type apiFlags struct {
	Operator     string `env:"OTELAUTH_OPERATOR" placeholder:"ADDRESS" help:"Where the operator's API is: unix:PATH, or a URL such as https://admin.example/-/operator. Default: unix:/run/otelauth/operator.sock. ($$OTELAUTH_OPERATOR)"`
	User         string `placeholder:"NAME" help:"Account of the operator, for a URL. Default: none."`
	PasswordFile string `placeholder:"FILE" help:"File whose only line is the password of --user."`
	Output       string `short:"o" enum:"text,json" default:"text" placeholder:"text|json" help:"text for people, or json: the answer of the API. Default: text."`
}

// callTimeout bounds one call of the API.
const callTimeout = 10 * time.Second

// client returns a client of the API.
func (f *apiFlags) client() (*operator.Client, error) {
	cfg := operator.ClientConfig{Address: f.Operator, Username: f.User}
	isURL := f.Operator != "" && !strings.HasPrefix(f.Operator, "unix:")
	switch {
	case f.User == "" && f.PasswordFile != "", f.User != "" && f.PasswordFile == "":
		return nil, usageError{errors.New("--user and --password-file need each other: set both, or remove both")}
	case f.User != "" && !isURL:
		return nil, usageError{errors.New("--user has no effect on a unix socket, which knows who calls: remove it, or set --operator to a URL")}
	}
	if f.PasswordFile != "" {
		var err error
		if cfg.Password, err = readSecretLine(f.PasswordFile); err != nil {
			return nil, usageError{fmt.Errorf("--password-file: %w", err)}
		}
		if u, err := url.Parse(f.Operator); err == nil && u.Scheme == "http" && !isLoopback(u.Hostname()) {
			return nil, usageError{errors.New("--operator: the password would cross the network in plaintext: use https, or the unix socket over ssh")}
		}
	}
	c, err := operator.NewClient(cfg)
	if err != nil {
		return nil, usageError{fmt.Errorf("--operator: %w", err)}
	}
	return c, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// call runs one call of the API. It prints the answer as JSON, or with text.
func call[T any](t *terminal, f *apiFlags, do func(context.Context, *operator.Client) (T, error), text func(T)) error {
	c, err := f.client()
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	answer, err := do(limited, c)
	if err != nil {
		return interrupted(ctx, explainAPI(err))
	}
	if f.Output == "json" {
		return printJSON(t, answer)
	}
	text(answer)
	return nil
}

// explainAPI adds to an answer of the API how the command can do better.
func explainAPI(err error) error {
	var f *operator.Refusal
	if !errors.As(err, &f) {
		return err
	}
	hint := ""
	switch f.Code {
	case operator.CodeActsDisabled:
		return errors.New("this gateway is read-only: start it with --operator-acts to let operators act")
	case operator.CodeUnknownAccount:
		return fmt.Errorf("%s; add --unknown-account to act on such a name", strings.TrimSuffix(strings.TrimSuffix(f.Detail, "."), "; to act on a name that is not an account, say so"))
	case operator.CodeNoActor:
		hint = "; set --user and --password-file"
	}
	return fmt.Errorf("%s%s", strings.TrimSuffix(f.Detail, "."), hint)
}

// printScope says what the answer does not cover, and warns of clocks that differ.
func (t *terminal) printScope(m *operator.Meta) {
	if m.Replicas > 1 && len(m.Local) > 0 {
		t.print("(%s: of this process only, one of %d replicas)", strings.Join(m.Local, ", "), m.Replicas)
	}
	if m.Degraded != "" {
		fmt.Fprintf(t.err, "otelauth: %s\n", m.Degraded)
	}
	if skew := m.Now.Sub(t.now()); skew.Abs() > maxSkew {
		fmt.Fprintf(t.err, "otelauth: the clock of the gateway differs from the one here by %v; times are those of the gateway\n", skew.Round(time.Second))
	}
}

// maxSkew is the difference between two clocks from which on printScope warns.
const maxSkew = 10 * time.Second

// networkArg is an address or a network.
type networkArg string

// UnmarshalText checks the form, so that a typing error does not reach the API.
func (n *networkArg) UnmarshalText(text []byte) error {
	if _, err := networks([]string{string(text)}); err != nil {
		return err
	}
	*n = networkArg(text)
	return nil
}

// set adds a parameter that is not empty.
func set(parameters url.Values, name, value string) {
	if value != "" {
		parameters.Set(name, value)
	}
}

// isTerminal reports whether the output is a terminal that shows colours.
func (t *terminal) isTerminal() bool {
	f, ok := t.out.(*os.File)
	return ok && isColourTerminal(f)
}
