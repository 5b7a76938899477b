// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/otelauth/otelauth-go/otelauth/cmd/otelauth/internal/flagfile"
)

// variablePrefix begins the environment variables of the gateway's flags.
const variablePrefix = "OTELAUTH_"

// variable is the environment variable of a flag.
func variable(flag string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Flags that say what to do now, or where the file is, stand in no file.
func onlyFlag(name string) bool { return name == "help" || name == "check" || name == "config" }

// fileFlags are the flags that may stand in a file.
func fileFlags(node *kong.Node) []*kong.Flag {
	return slices.DeleteFunc(slices.Clone(node.Flags), func(f *kong.Flag) bool { return onlyFlag(f.Name) })
}

func readConfigFile(path string, flags []*kong.Flag) (*flagfile.File, error) {
	r, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // read only
	return flagfile.Read(r, path, flags)
}

// settings resolves the flags of the gateway that are not on the command line: first the environment, then the
// file.
type settings struct {
	getenv func(string) string
	file   *flagfile.File // nil: none
	// places says where the value of a flag stands, for errors.
	places map[string]string
}

var _ kong.Resolver = (*settings)(nil)

// Validate does nothing: Resolve does.
func (s *settings) Validate(*kong.Application) error { return nil }

// Resolve returns the value of a flag, nil for its default.
func (s *settings) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if parent.Command == nil || parent.Command.Name != "gateway" || onlyFlag(flag.Name) {
		return nil, nil
	}
	value, place := s.find(flag)
	if value == nil {
		return nil, nil
	}
	s.places[flag.Name] = place
	if err := flagfile.Check(flag, value); err != nil {
		return value, placed{place, err}
	}
	return value, nil
}

func (s *settings) find(flag *kong.Flag) (value any, place string) {
	if text := s.getenv(variable(flag.Name)); text != "" {
		if !flag.IsSlice() {
			return text, variable(flag.Name)
		}
		var items []any
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" {
				items = append(items, line)
			}
		}
		return items, variable(flag.Name)
	}
	if s.file != nil {
		return s.file.Find(flag.Name)
	}
	return nil, ""
}

// placed is an error with its place in the file or the environment. kong puts the flag before it, which sanitize takes away.
type placed struct {
	place string
	err   error
}

func (p placed) Error() string { return p.place + ": " + p.err.Error() }
func (p placed) Unwrap() error { return p.err }

// place is where a flag's value comes from.
func (s *settings) place(flag string) string {
	if p, found := s.places[flag]; found {
		return p
	}
	return "--" + flag
}

// loadGateway reads the command line, the environment and the file. It does nothing else, so that SIGHUP does it again.
func loadGateway(args []string, getenv func(string) string) (*gatewayCommand, *settings, error) {
	s := &settings{getenv: getenv, places: make(map[string]string)}
	var c commands
	// The file's name first: it may stand in front of anything.
	parser, err := newParser(&c)
	if err != nil {
		return nil, nil, err
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, nil, usageError{sanitize(err, args)}
	}
	path := c.Gateway.Config
	if path == "" {
		path = getenv(variable("config"))
	}
	if path != "" {
		if s.file, err = readConfigFile(path, fileFlags(gatewayNode(parser))); err != nil {
			return nil, nil, usageError{err}
		}
	}
	c = commands{}
	if parser, err = newParser(&c, kong.Resolvers(s)); err != nil {
		return nil, nil, err
	}
	if _, err := parser.Parse(args); err != nil {
		return nil, nil, usageError{sanitize(err, args)}
	}
	return &c.Gateway, s, nil
}

func gatewayNode(k *kong.Kong) *kong.Node {
	for _, n := range k.Model.Children {
		if n.Name == "gateway" {
			return n
		}
	}
	return nil
}

// nameVariables tells each flag of the gateway its environment variable in the help, which settings reads.
func nameVariables(k *kong.Kong) error {
	node := gatewayNode(k)
	if node == nil {
		return errors.New("there is no gateway")
	}
	for _, f := range node.Flags {
		if f.Name != "help" && f.Name != "check" {
			f.Help += " ($" + variable(f.Name) + ")"
		}
	}
	return nil
}

func environment(name string) string { return os.Getenv(name) }

func quoted(s string) string { return strconv.QuoteToGraphic(s) }
