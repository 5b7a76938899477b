// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// Errors of an [Edit]; test for them with errors.Is.
var (
	// ErrExists: the name stands in the file already.
	ErrExists = errors.New("the account exists already")
	// ErrUnknown: the name does not stand in the file.
	ErrUnknown = errors.New("there is no such account")
	// ErrLastAccount: nobody would be left, and a file of nobody is not served; see [ErrNoAccounts].
	ErrLastAccount = errors.New("it is the last account of the file, and a file without accounts is not served: disable it instead")
	// ErrForeign: the file is not an htpasswd file, or has a line that is none of its lines; see [Edit].
	ErrForeign = errors.New("not an htpasswd file, and it is not changed: correct or remove this line with an editor if it is one")
	// ErrLocked: somebody else was editing the file until the context ended.
	ErrLocked = errors.New("another process is editing it")
)

// Line is one account as its line tells it. Its zero value is no account.
type Line struct {
	// Name is the account's name.
	Name string
	// Hash is the encoded password hash, as [password.Params.Hash] makes it.
	Hash string
	// Disabled accounts are refused.
	Disabled bool
	// Expires is when the account ends; the zero Time never. Seconds are kept, fractions are cut.
	Expires time.Time
	// Previous is the encoded hash of the password before this one, right until PreviousExpires; "" for none.
	Previous        string
	PreviousExpires time.Time
}

// String is the line's name: a Line that is printed shows no hash.
func (l Line) String() string { return "Line(" + l.Name + ")" }

// GoString is String.
func (l Line) GoString() string { return l.String() }

// encode returns the line as it stands in the file, without its end.
func (l *Line) encode() (string, error) {
	if err := verify.ValidName(l.Name); err != nil {
		return "", err
	}
	if strings.HasPrefix(l.Name, "#") {
		return "", errors.New("the name begins with #: its line would be a comment")
	}
	for _, hash := range []string{l.Hash, l.Previous} {
		if strings.ContainsAny(hash, ": \t\r\n") {
			return "", errors.New("a hash holds a colon, white space or a line end")
		}
	}
	if l.Hash == "" {
		return "", errors.New("the hash is empty")
	}
	if (l.Previous == "") != l.PreviousExpires.IsZero() {
		return "", errors.New("a previous hash and its end belong together: set both or none")
	}
	var words []string
	if l.Disabled {
		words = append(words, wordDisabled)
	}
	if !l.Expires.IsZero() {
		words = append(words, wordExpires+"="+l.Expires.UTC().Format(time.RFC3339))
	}
	if l.Previous != "" {
		words = append(words, wordPrevious+"="+l.Previous, wordPreviousExpires+"="+l.PreviousExpires.UTC().Format(time.RFC3339))
	}
	text := l.Name + ":" + l.Hash
	if len(words) > 0 {
		text += ":" + strings.Join(words, " ")
	}
	if len(text) > maxLineBytes {
		return "", fmt.Errorf("longer than %d bytes", maxLineBytes)
	}
	return text, nil
}

// Content is the text of a file while it is edited: lines that are not changed keep every byte, comments and blank
// lines included. It is not safe for concurrent use.
type Content struct {
	path    string
	lines   []string // with their ends
	changed bool
}

// nameOf returns the name of an account's line, "" for other lines.
func nameOf(line string) string {
	text := strings.TrimLeft(strings.TrimPrefix(line, "\xef\xbb\xbf"), " \t")
	if text == "" || text[0] == '#' {
		return ""
	}
	name, _, found := strings.Cut(text, ":")
	if !found {
		return ""
	}
	return name
}

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

// Get returns the account of that name; [ErrUnknown] when there is none, a [*ParseError] when its line is bad. What stands in the
// place of the hash is not judged.
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

// decodeLine takes a line apart without looking into the hashes.
func decodeLine(text string) (l Line, err error) {
	text = strings.TrimRight(strings.TrimPrefix(text, "\xef\xbb\xbf"), " \t\r\n")
	var rest, settings string
	l.Name, rest, _ = strings.Cut(text, ":")
	l.Hash, settings, _ = strings.Cut(rest, ":")
	for word := range strings.FieldsSeq(settings) {
		key, value, _ := strings.Cut(word, "=")
		switch {
		case word == wordDisabled:
			l.Disabled = true
		case key == wordExpires:
			l.Expires, err = parseTime(key, value)
		case key == wordPrevious:
			l.Previous = value
		case key == wordPreviousExpires:
			l.PreviousExpires, err = parseTime(key, value)
		default:
			err = errUnknownSetting
		}
		if err != nil {
			return Line{}, err
		}
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

// All yields the accounts with the numbers of their lines, from 1; lines that cannot be taken apart are left out.
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

// Add appends an account. [ErrExists] when the name stands in the file.
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

// Replace writes the account's line anew where it stands. [ErrUnknown] when there is none.
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

// Remove takes the account's line out. [ErrUnknown] when there is none, [ErrLastAccount] when it is the only one.
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

// lineEnd is that of the first line.
func (c *Content) lineEnd() string {
	if len(c.lines) > 0 && strings.HasSuffix(c.lines[0], "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// ReadContent reads a file for looking at its lines, also those that [Parse] refuses. [fs.ErrNotExist] when it is missing.
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

func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("htpasswd: %w", err)
	}
	if !info.Mode().IsRegular() { // a FIFO would block, a device never ends
		return nil, fmt.Errorf("htpasswd: %s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("htpasswd: %w", err)
	}
	defer func() { _ = file.Close() }() // read only
	content, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("htpasswd: %w", err)
	}
	if len(content) > maxFileBytes {
		return nil, fmt.Errorf("htpasswd: %w", tooLarge(path))
	}
	if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		return nil, fmt.Errorf("htpasswd: %s: UTF-16: save it as UTF-8", path)
	}
	return content, nil
}

// readOurs reads a file that may be edited: every line is blank, a comment, or an account with a password hash. Hashes that are too
// weak or too expensive to be served count as well, because an edit is how they are replaced. Through a symbolic
// link, the file must hold an account already: a link may point to any file, and an empty one gives no sign of what it is for.
func readOurs(path string, linked bool) (*Content, error) {
	content, err := read(path)
	if err != nil {
		return nil, err
	}
	accounts, bad := 0, faults{file: path}
	err = eachLine(content, path, &bad, func(_ int, line []byte) error {
		accounts++
		_, err := parseAccount(line, password.Policy{DangerouslyAllowLegacy: true})
		if errors.Is(err, password.ErrOutOfBounds) || errors.Is(err, password.ErrUnusable) {
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case len(bad.errs) > 0:
		return nil, fmt.Errorf("%w: %w", bad.errs[0], ErrForeign)
	case linked && accounts == 0:
		return nil, fmt.Errorf("htpasswd: %s: a symbolic link to a file without accounts: %w", path, ErrForeign)
	}
	return newContent(path, content), nil
}

// Edit changes a file as one step: change gets its content, and what it makes of it replaces the file at once, or
// nothing is changed when it returns an error, which Edit returns.
//
// Edits exclude each other, in this process and in others, by a lock on a file beside it, its name with ".lock" at the end,
// which stays there empty. Edit waits for the lock until ctx ends: [ErrLocked]. Writers that do not take the lock, Apache's
// htpasswd for instance, are not excluded.
//
// The file is made with mode 0600 when it is missing. Otherwise it keeps mode, owner and group, and an error says so when
// this process may not give them; access control lists and extended attributes are not kept. The new file and its directory
// are synced to disk before Edit returns. Where the system has no flock(2), the error is [errors.ErrUnsupported].
//
// A file with a line that is neither blank, a comment nor an account with a password hash is refused with
// [ErrForeign] before anything is written, the lock included: the path may be wrong, or a symbolic link to another
// program's file such as /etc/passwd. A symbolic link to an htpasswd file stays one, and the file that it points to is edited.
func Edit(ctx context.Context, path string, change func(*Content) error) error {
	target, linked, err := resolve(path)
	if err != nil {
		return fmt.Errorf("htpasswd: %w", err)
	}
	// Before the lock: a lock file beside another program's file may have a meaning there (/etc/passwd.lock has).
	if _, err := readOurs(target, linked); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	unlock, err := lock(ctx, target+".lock")
	if err != nil {
		return fmt.Errorf("htpasswd: %s: %w", path, err)
	}
	defer unlock()
	c, err := readOurs(target, linked)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case missing:
		c = &Content{}
	case err != nil:
		return err
	}
	c.path = path
	if err := change(c); err != nil || !c.changed {
		return err
	}
	if err := overwrite(target, strings.Join(c.lines, ""), missing); err != nil {
		return fmt.Errorf("htpasswd: %s is not changed: %w", path, err)
	}
	return nil
}

// resolve follows symbolic links, also to a file that does not exist yet in a directory that does. linked reports
// whether path itself is a link.
func resolve(path string) (target string, linked bool, err error) {
	if info, err := os.Lstat(path); err == nil {
		linked = info.Mode()&fs.ModeSymlink != 0
	}
	target, err = filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return target, linked, err
	}
	if linked {
		return "", true, fmt.Errorf("%s: a symbolic link to a file that is missing: make that file, or remove the link", path)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", false, err
	}
	return filepath.Join(dir, filepath.Base(path)), false, nil
}

// overwrite writes content beside target and renames it over it.
func overwrite(target, content string, isNew bool) (err error) {
	if len(content) > maxFileBytes {
		return tooLarge(target)
	}
	dir := filepath.Dir(target)
	file, err := os.CreateTemp(dir, "."+filepath.Base(target)+".*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	if !isNew {
		info, err := os.Stat(target)
		if err != nil {
			return err
		}
		// The owner first: giving a file away clears bits of its mode.
		if err := keepOwner(file, info); err != nil {
			return err
		}
		if err := file.Chmod(info.Mode().Perm()); err != nil {
			return err
		}
	}
	if _, err := io.WriteString(file, content); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), target); err != nil {
		return err
	}
	return syncDirectory(dir)
}
