// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package flagfile reads the configuration file of a command: one YAML mapping from the names of
// flags to their values.
//
// It refuses what may be a mistake: unknown keys, repeated keys, numbers and booleans in place of
// text, anchors, aliases and second documents. It reports all errors at once, each with its line.
// Errors do not show values, because a value may be a misplaced secret.
//
//	file, err := flagfile.Read(r, "gateway.yaml", flags)
//	value, place := file.Find("upstream")
package flagfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/cmd/otelauth/internal/nearest"
)

// MaxBytes is the size limit of a file.
const MaxBytes = 1 << 20

// File is a configuration file. The zero File has no settings. A File is immutable and safe for
// concurrent use.
type File struct {
	path    string
	entries map[string]entry
}

type entry struct {
	value any // a string, or []any of strings
	line  int
}

// Find returns the value of a flag in the form that a kong resolver returns, and its place,
// "path:line: name". It returns nil if the file does not set the flag.
func (f *File) Find(name string) (value any, place string) {
	e, found := f.entries[name]
	if !found {
		return nil, ""
	}
	return e.value, f.place(e.line) + ": " + name
}

func (f *File) place(line int) string { return f.path + ":" + strconv.Itoa(line) }

// Read reads r, which errors call path. It returns all errors at once, one a line. flags are the
// flags that the file may set. A list flag with the tag mapping, whose items are KEY=ITEM,…,
// also accepts {KEY: [ITEM, …]}.
func Read(r io.Reader, path string, flags []*kong.Flag) (*File, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, err
	}
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, MaxBytes)
	}
	return parse(path, text, flags)
}

// Check parses value as kong will, so that an error can be reported with the place of the value.
func Check(flag *kong.Flag, value any) error {
	scratch := reflect.New(flag.Target.Type()).Elem()
	if err := flag.Parse(kong.Scan().PushTyped(value, kong.FlagValueToken), scratch); err != nil {
		_, text, found := strings.Cut(err.Error(), ": ")
		if !found {
			text = err.Error()
		}
		return errors.New(text)
	}
	if flag.Enum == "" {
		return nil
	}
	text, _ := value.(string)
	if !flag.EnumMap()[text] {
		return fmt.Errorf("use one of %s", strings.ReplaceAll(strings.TrimSuffix(flag.Enum, ","), ",", ", "))
	}
	return nil
}

func parse(path string, text []byte, all []*kong.Flag) (*File, error) {
	f := &File{path: path, entries: make(map[string]entry)}
	top, err := f.mapping(text)
	if err != nil {
		return nil, err
	}
	if top == nil {
		return f, nil
	}
	flags := make(map[string]*kong.Flag)
	for _, flag := range all {
		flags[flag.Name] = flag
	}
	var problems []error
	problem := func(line int, format string, args ...any) {
		problems = append(problems, fmt.Errorf(f.place(line)+": "+format, args...))
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			problem(key.Line, "a key must be a plain name")
			continue
		}
		flag, known := flags[key.Value]
		if !known {
			problem(key.Line, "unknown key %s%s", strconv.QuoteToGraphic(attempt.Text(key.Value, maxShownBytes)), hint(key.Value, flags))
			continue
		}
		if first, twice := f.entries[key.Value]; twice {
			problem(key.Line, "%s is set in line %d already: remove one of the two", key.Value, first.line)
			continue
		}
		v, err := settingOf(flag, value)
		f.entries[key.Value] = entry{v, key.Line}
		if err != nil {
			problem(err.line, "%s: %s", key.Value, err.text)
			continue
		}
		if v == nil {
			delete(f.entries, key.Value)
			continue
		}
		if err := Check(flag, v); err != nil {
			problem(key.Line, "%s: %w", key.Value, err)
		}
	}
	return f, errors.Join(problems...)
}

// mapping returns the only document of a file, or nil if it is empty.
func (f *File) mapping(text []byte) (*yaml.Node, error) {
	var root yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, f.syntax(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document: remove everything after ---", f.path)
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) != 1 {
		return nil, nil
	}
	top := root.Content[0]
	if top.Kind == yaml.ScalarNode && top.Tag == "!!null" {
		return nil, nil
	}
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: not a mapping: write settings such as upstream: http://127.0.0.1:8000", f.place(top.Line))
	}
	return top, nil
}

// maxShownBytes is the length limit of a key in an error.
const maxShownBytes = 256

var yamlLine = regexp.MustCompile(`line (\d+)`)

// syntax replaces an error of the YAML parser, which may quote a secret.
func (f *File) syntax(err error) error {
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s:%s: not valid YAML: check the indentation, quotes and colons in this line and above", f.path, m[1])
	}
	return fmt.Errorf("%s: not valid YAML: check the indentation, quotes, colons and encoding (UTF-8)", f.path)
}

// valueError is a problem of a value, with its line.
type valueError struct {
	line int
	text string
}

// settingOf returns a value in the form of a flag, or nil for null, which means the default.
func settingOf(flag *kong.Flag, n *yaml.Node) (any, *valueError) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil, nil
	}
	if !flag.IsSlice() {
		return scalarOf(flag, n)
	}
	switch {
	case n.Kind == yaml.MappingNode && flag.Tag.Has("mapping"):
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
	return nil, wrong(n, "write a list")
}

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
			return nil, &valueError{n.Content[i].Line, fmt.Sprintf("the same pattern as in line %d: merge the names into one list", first)}
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
				return nil, wrong(item, "a name holds a comma: write each name as a separate item of the list")
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
			return nil, wrong(n, "aliases are not supported: write the value")
		}
		return nil, wrong(n, "write one value, not a list or a mapping")
	}
	if n.Anchor != "" {
		return nil, wrong(n, "anchors are not supported: remove the & and its name")
	}
	switch {
	case flag.IsBool():
		if n.Tag != "!!bool" {
			return nil, wrong(n, "write true or false")
		}
		return strings.ToLower(n.Value), nil
	case flag.Target.CanInt() && flag.Target.Type().PkgPath() == "": // int, int64
		if n.Tag != "!!int" {
			return nil, wrong(n, "write a number")
		}
		return n.Value, nil
	case flag.Target.CanInt(): // a duration
		if n.Tag != "!!str" {
			return nil, wrong(n, "write a duration with its unit, such as 30s or 5m")
		}
		return n.Value, nil
	}
	return textOf(n)
}

// textOf returns text, quoted or not. Numbers and booleans must be quoted, because YAML would
// otherwise change values such as 1_000 and no.
func textOf(n *yaml.Node) (string, *valueError) {
	switch {
	case n.Kind == yaml.AliasNode:
		return "", wrong(n, "aliases are not supported: write the value")
	case n.Anchor != "":
		return "", wrong(n, "anchors are not supported: remove the & and its name")
	case n.Kind != yaml.ScalarNode || n.Tag != "!!str":
		return "", wrong(n, "write text: put quotes around it")
	}
	return n.Value, nil
}

func wrong(n *yaml.Node, text string) *valueError { return &valueError{n.Line, text} }

// hint returns the known key that is most similar to an unknown one, or where all keys are listed.
func hint(key string, flags map[string]*kong.Flag) string {
	if h := nearest.Hint(strings.ReplaceAll(key, "_", "-"), slices.Collect(maps.Keys(flags))); h != "" {
		return h
	}
	return ": see otelauth help --all gateway for all keys"
}
