// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Content is the text of a file during an [Edit]. Lines that do not change keep every byte,
// comments and empty lines included. It is not safe for concurrent use.
type Content struct {
	path    string
	lines   []string // with their ends
	changed bool
}

// ReadContent reads a file without changing it. It accepts lines that [Open] refuses, so that a
// tool can list and report them. The error is [fs.ErrNotExist] if the file is missing.
func ReadContent(path string) (*Content, error) {
	content, err := read(path)
	if err != nil {
		return nil, err
	}
	return newContent(path, content), nil
}

func newContent(path string, content []byte) *Content {
	c := &Content{path: path}
	for line := range strings.Lines(string(content)) {
		c.lines = append(c.lines, line)
	}
	return c
}

// find returns the index of the account's line, or -1.
func (c *Content) find(name string) (int, error) {
	at := -1
	for i, line := range c.lines {
		if name == "" || nameOf(line) != name {
			continue
		}
		if at >= 0 {
			return -1, &ParseError{c.path, i + 1, fmt.Errorf("the same name as line %d: remove one of the two", at+1)}
		}
		at = i
	}
	return at, nil
}

// Get returns the account with that name. The error is [ErrUnknown] if there is none, and a
// [*ParseError] if its line is bad. It does not check the hash.
func (c *Content) Get(name string) (Line, error) {
	i, err := c.find(name)
	if err != nil {
		return Line{}, err
	}
	if i < 0 {
		return Line{}, fmt.Errorf("htpasswd: %s: %w", c.path, ErrUnknown)
	}
	l, err := decodeLine(c.lines[i])
	if err != nil {
		return Line{}, &ParseError{c.path, i + 1, err}
	}
	return l, nil
}

// Names returns the names in the order of their lines.
func (c *Content) Names() []string {
	var names []string
	for _, line := range c.lines {
		if name := nameOf(line); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// All yields the accounts with the numbers of their lines, from 1. It skips lines that cannot be
// parsed.
func (c *Content) All() iter.Seq2[int, Line] {
	return func(yield func(int, Line) bool) {
		for i, text := range c.lines {
			if nameOf(text) == "" {
				continue
			}
			if l, err := decodeLine(text); err == nil && !yield(i+1, l) {
				return
			}
		}
	}
}

// Add appends an account. The error is [ErrExists] if the name is in the file.
func (c *Content) Add(l Line) error {
	i, err := c.find(l.Name)
	if err != nil {
		return err
	}
	if i >= 0 {
		return fmt.Errorf("htpasswd: %s:%d: %w", c.path, i+1, ErrExists)
	}
	text, err := l.encode()
	if err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	if n := len(c.lines); n > 0 && !strings.HasSuffix(c.lines[n-1], "\n") {
		c.lines[n-1] += c.lineEnd()
	}
	c.lines = append(c.lines, text+c.lineEnd())
	c.changed = true
	return nil
}

// Replace rewrites the line of the account. The error is [ErrUnknown] if there is none.
func (c *Content) Replace(l Line) error {
	i, err := c.find(l.Name)
	if err != nil {
		return err
	}
	if i < 0 {
		return fmt.Errorf("htpasswd: %s: %w", c.path, ErrUnknown)
	}
	text, err := l.encode()
	if err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	if text += c.lineEnd(); text != c.lines[i] {
		c.lines[i] = text
		c.changed = true
	}
	return nil
}

// Remove removes the line of the account. The error is [ErrUnknown] if there is none, and
// [ErrLastAccount] if it is the only one.
func (c *Content) Remove(name string) error {
	i, err := c.find(name)
	if err != nil {
		return err
	}
	if i < 0 {
		return fmt.Errorf("htpasswd: %s: %w", c.path, ErrUnknown)
	}
	if len(c.Names()) == 1 {
		return fmt.Errorf("htpasswd: %s:%d: %w", c.path, i+1, ErrLastAccount)
	}
	c.lines = slices.Delete(c.lines, i, i+1)
	c.changed = true
	return nil
}

// lineEnd returns the end of the first line.
func (c *Content) lineEnd() string {
	if len(c.lines) > 0 && strings.HasSuffix(c.lines[0], "\r\n") {
		return "\r\n"
	}
	return "\n"
}
