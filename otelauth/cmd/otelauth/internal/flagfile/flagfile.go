// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package flagfile reads the configuration file of a command: one YAML mapping whose keys are the names of flags, and whose values
// say what the flags would.
//
// It refuses whatever a person may not have meant: unknown keys, a key twice, numbers and truth values where text belongs,
// anchors, aliases and second documents. All faults are told at once, each with its line, and none with the value: a secret
// may have been put where none belongs.
//
//	file, err := flagfile.Read(r, "gateway.yaml", flags)
//	value, place := file.Find("upstream")
package flagfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v4"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// MaxBytes bounds a file.
const MaxBytes = 1 << 20

// File is a configuration file. The zero File has no settings. It does not change, and is safe for concurrent use.
type File struct {
	path    string
	entries map[string]entry
}

type entry struct {
	value any // a string, or []any of strings
	line  int
}

// Find returns the value of a flag as kong takes it from a resolver, and its place, "path:line: name"; nil where the file says
// nothing of it.
func (f *File) Find(name string) (value any, place string) {
	e, found := f.entries[name]
	if !found {
		return nil, ""
	}
	return e.value, f.place(e.line) + ": " + name
}

func (f *File) place(line int) string { return f.path + ":" + strconv.Itoa(line) }

// Read reads r, which is called path in errors, and returns every fault at once, a line each. flags are those that may stand in it; a list
// flag with the tag mapping, whose items read KEY=ITEM,…, takes {KEY: [ITEM, …]} as well.
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

// Check reads value as kong will, so that an error can be told with the place of the value.
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
		return fmt.Errorf("not one of %s", strings.ReplaceAll(strings.TrimSuffix(flag.Enum, ","), ",", ", "))
	}
	return nil
}

func parse(path string, text []byte, all []*kong.Flag) (*File, error) {
	f := &File{path: path, entries: make(map[string]entry)}
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
	for _, flag := range all {
		flags[flag.Name] = flag
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
			fault(key.Line, "unknown key %s%s", strconv.QuoteToGraphic(attempt.Text(key.Value, maxShownBytes)), nearest(key.Value, flags))
			continue
		}
		if first, twice := f.entries[key.Value]; twice {
			fault(key.Line, "%s stands in line %d already: remove one of the two", key.Value, first.line)
			continue
		}
		v, err := settingOf(flag, value)
		f.entries[key.Value] = entry{v, key.Line}
		if err != nil {
			fault(err.line, "%s: %s", key.Value, err.text)
			continue
		}
		if v == nil {
			delete(f.entries, key.Value)
			continue
		}
		if err := Check(flag, v); err != nil {
			fault(key.Line, "%s: %w", key.Value, err)
		}
	}
	return f, errors.Join(faults...)
}

// maxShownBytes bounds a key in an error.
const maxShownBytes = 256

var yamlLine = regexp.MustCompile(`line (\d+)`)

// syntax words an error of the YAML parser, which may quote the line.
func (f *File) syntax(err error) error {
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
	return nil, wrong(n, "want a list")
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
