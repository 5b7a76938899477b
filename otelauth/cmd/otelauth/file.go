// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"
)

// maxConfigBytes bounds a configuration file.
const maxConfigBytes = 1 << 20

// configFile is a configuration file: one mapping, whose keys are the names of flags.
type configFile struct {
	path    string
	entries map[string]configEntry
}

type configEntry struct {
	value any // a string, or []any of strings
	line  int
}

func (f *configFile) place(line int) string { return f.path + ":" + strconv.Itoa(line) }

// readConfigFile reads a file strictly and returns every fault at once, each with its line. None shows a value: a
// data source may have been put where none belongs.
func readConfigFile(path string, node *kong.Node) (*configFile, error) {
	r, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // read only
	text, err := io.ReadAll(io.LimitReader(r, maxConfigBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxConfigBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxConfigBytes)
	}
	return parseConfigFile(path, text, node)
}

func parseConfigFile(path string, text []byte, node *kong.Node) (*configFile, error) {
	f := &configFile{path: path, entries: make(map[string]configEntry)}
	var root yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		return nil, f.syntax(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document: remove what follows ---", path)
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		return f, nil
	}
	top := root.Content[0]
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return f, nil
	}
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: not a list of settings such as upstream: http://127.0.0.1:8000", f.place(top.Line))
	}
	flags := make(map[string]*kong.Flag)
	for _, flag := range node.Flags {
		if !onlyFlag(flag.Name) {
			flags[flag.Name] = flag
		}
	}
	var faults []error
	fault := func(line int, format string, args ...any) {
		faults = append(faults, fmt.Errorf(f.place(line)+": "+format, args...))
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			fault(key.Line, "a key is not a plain name")
			continue
		}
		flag, known := flags[key.Value]
		if !known {
			fault(key.Line, "unknown key %s%s", quoted(shown(key.Value)), nearest(key.Value, flags))
			continue
		}
		if first, twice := f.entries[key.Value]; twice {
			fault(key.Line, "%s stands in line %d already: remove one of the two", key.Value, first.line)
			continue
		}
		v, err := settingOf(flag, value)
		f.entries[key.Value] = configEntry{v, key.Line}
		if err != nil {
			fault(err.line, "%s: %s", key.Value, err.text)
			continue
		}
		if v == nil {
			delete(f.entries, key.Value)
			continue
		}
		if err := checkValue(flag, v, f.place(key.Line)+": "+key.Value); err != nil {
			faults = append(faults, err)
		}
	}
	return f, errors.Join(faults...)
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

// syntax words an error of the YAML parser, which may quote the line.
func (f *configFile) syntax(err error) error {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s:%s: not YAML: look at the indentation, the quotes and the colons there and above", f.path, m[1])
	}
	return fmt.Errorf("%s: not YAML: look at its indentation, quotes, colons and encoding (UTF-8)", f.path)
}

// valueError is what is wrong with a value, and where.
type valueError struct {
	line int
	text string
}

// settingOf returns a value as a flag would have it; nil for the null value, which is the default.
func settingOf(flag *kong.Flag, n *yaml.Node) (any, *valueError) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil, nil
	}
	if !flag.IsSlice() {
		return scalarOf(flag, n)
	}
	switch {
	case n.Kind == yaml.MappingNode && grants(flag.Name):
		return grantsOf(n)
	case n.Kind == yaml.SequenceNode:
		items := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			text, err := textOf(item)
			if err != nil {
				return nil, err
			}
			items = append(items, text)
		}
		return items, nil
	case n.Kind == yaml.ScalarNode:
		text, err := textOf(n)
		return []any{text}, err
	}
	return nil, wrong(n, "want a list")
}

// grants are the flags whose values read PATTERN=ITEM,…: a mapping in the file.
func grants(name string) bool { return name == "allow-groups" || name == "allow-accounts" }

// grantsOf reads {pattern: [item, …]}.
func grantsOf(n *yaml.Node) (any, *valueError) {
	var all []any
	lineOf := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		pattern, err := textOf(n.Content[i])
		if err != nil {
			return nil, err
		}
		if first, twice := lineOf[pattern]; twice {
			return nil, &valueError{n.Content[i].Line, fmt.Sprintf("the same pattern as in line %d: put the names into one list", first)}
		}
		lineOf[pattern] = n.Content[i].Line
		value := n.Content[i+1]
		list := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			list = value.Content
		}
		var items []string
		for _, item := range list {
			text, err := textOf(item)
			if err != nil {
				return nil, err
			}
			if strings.ContainsRune(text, ',') {
				return nil, wrong(item, "a name holds a comma: make it an item of its own in the list")
			}
			items = append(items, text)
		}
		all = append(all, pattern+"="+strings.Join(items, ","))
	}
	return all, nil
}

func scalarOf(flag *kong.Flag, n *yaml.Node) (any, *valueError) {
	if n.Kind != yaml.ScalarNode {
		if n.Kind == yaml.AliasNode {
			return nil, wrong(n, "aliases are not read: write the value out")
		}
		return nil, wrong(n, "want one value, not a list or a mapping")
	}
	if n.Anchor != "" {
		return nil, wrong(n, "anchors are not read: remove the & and its name")
	}
	switch {
	case flag.IsBool():
		if n.Tag != "!!bool" {
			return nil, wrong(n, "want true or false")
		}
		return strings.ToLower(n.Value), nil
	case flag.Target.CanInt() && flag.Target.Type().String() == "int":
		if n.Tag != "!!int" {
			return nil, wrong(n, "want a number")
		}
		return n.Value, nil
	case flag.Target.CanInt(): // a duration
		if n.Tag != "!!str" {
			return nil, wrong(n, "want a duration with its unit, such as 30s or 5m")
		}
		return n.Value, nil
	}
	return textOf(n)
}

// textOf takes text, quoted or not. A number or a truth value must be quoted, or 1_000 and no would not be what they look like.
func textOf(n *yaml.Node) (string, *valueError) {
	switch {
	case n.Kind == yaml.AliasNode:
		return "", wrong(n, "aliases are not read: write the value out")
	case n.Anchor != "":
		return "", wrong(n, "anchors are not read: remove the & and its name")
	case n.Kind != yaml.ScalarNode || n.Tag != "!!str":
		return "", wrong(n, "want text; put quotes around it")
	}
	return n.Value, nil
}

func wrong(n *yaml.Node, text string) *valueError { return &valueError{n.Line, text} }

// nearest suggests a key that differs by underscores, letter case, or a letter or two.
func nearest(key string, flags map[string]*kong.Flag) string {
	key = strings.ToLower(strings.ReplaceAll(key, "_", "-"))
	const far = 3
	best, distance := "", far
	for name := range flags {
		if d := edits(key, name, far); d < distance || d == distance && name < best {
			best, distance = name, d
		}
	}
	if best == "" {
		return ": see otelauth gateway --help for all of them"
	}
	return ": do you mean " + best + "?"
}

// edits is the Levenshtein distance of a and b, most at most.
func edits(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return min(row[len(b)], most)
}
