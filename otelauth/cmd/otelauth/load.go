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

// variablePrefix is the prefix of the environment variables of the gateway's flags.
const variablePrefix = "OTELAUTH_"

// variable returns the environment variable of a flag.
func variable(flag string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// isOnlyFlag reports whether a flag cannot be set in a file: what to do now, and where the file
// is.
func isOnlyFlag(name string) bool {
	return slices.Contains([]string{"help", "check", "config"}, name)
}

// fileFlags returns the flags that can be set in a file.
func fileFlags(node *kong.Node) []*kong.Flag {
	return slices.DeleteFunc(slices.Clone(node.Flags), func(f *kong.Flag) bool { return isOnlyFlag(f.Name) })
}

func readConfigFile(path string, flags []*kong.Flag) (*flagfile.File, error) {
	r, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read
	return flagfile.Read(r, path, flags)
}

// settings resolves the flags of the gateway that are not on the command line: first from the
// environment, then from the file.
type settings struct {
	getenv func(string) string
	file   *flagfile.File // nil: none
	// places maps a flag to the place of its value, for errors.
	places map[string]string
	// flags are those of the gateway, with their values.
	flags []*kong.Flag
}

var _ kong.Resolver = (*settings)(nil)

// Validate does nothing, because Resolve validates.
func (s *settings) Validate(*kong.Application) error { return nil }

// Resolve returns the value of a flag, or nil for its default.
func (s *settings) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if parent.Command == nil || parent.Command.Name != "gateway" || isOnlyFlag(flag.Name) {
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

// place returns where the value of a flag comes from.
func (s *settings) place(flag string) string {
	if p, found := s.places[flag]; found {
		return p
	}
	return "--" + flag
}

// loadGateway reads the command line, the environment and the file. It has no other effect, so
// SIGHUP can repeat it.
func loadGateway(args []string, getenv func(string) string) (*gatewayCommand, *settings, error) {
	s := &settings{getenv: getenv, places: make(map[string]string)}
	var c commands
	// A first pass finds the name of the file.
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
	s.flags = gatewayNode(parser).Flags
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

// nameVariables adds to the help of each gateway flag its environment variable, which settings
// reads.
func nameVariables(k *kong.Kong) error {
	node := gatewayNode(k)
	if node == nil {
		return errors.New("the command has no gateway subcommand")
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
