// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

const (
	// maxLineBytes bounds a line without its end, as Apache does.
	maxLineBytes = 8192
	// maxFileBytes bounds a file: some 900,000 accounts with bcrypt hashes, which take about 280 bytes of memory each.
	maxFileBytes = 64 << 20
	// maxReportedLines bounds how many bad lines one error names.
	maxReportedLines = 20
)

// ErrNoAccounts is in the error when a file holds no account at all.
var ErrNoAccounts = errors.New("holds no account")

// ParseError is one bad line. It never holds what stands in the line.
type ParseError struct {
	File string // as it was given
	Line int    // from 1
	Err  error  // what is wrong with it
}

// Error returns "htpasswd: file:line: what is wrong".
func (e *ParseError) Error() string {
	return "htpasswd: " + e.File + ":" + strconv.Itoa(e.Line) + ": " + e.Err.Error()
}

// Unwrap returns Err.
func (e *ParseError) Unwrap() error { return e.Err }

// Parse reads accounts in the order of their lines, without hashing anything. file stands in errors only.
//
// On a bad line it returns no account and a [*ParseError] for each bad line, up to [maxReportedLines],
// joined; on a file without accounts [ErrNoAccounts]; or r's error.
func Parse(r io.Reader, file string, policy password.Policy) ([]*verify.Account, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("htpasswd: %w", err)
	}
	return parse(content, file, policy)
}

func parse(content []byte, file string, policy password.Policy) ([]*verify.Account, error) {
	bad := faults{file: file}
	var accounts []*verify.Account
	lineOf := make(map[string]int)
	err := eachLine(content, file, &bad, func(n int, line []byte) error {
		a, err := parseAccount(line, policy)
		if err != nil {
			return err
		}
		if first, twice := lineOf[a.Name]; twice {
			return fmt.Errorf("the same name as line %d: remove one of the two", first)
		}
		lineOf[a.Name] = n
		accounts = append(accounts, a)
		return nil
	})
	if err == nil {
		err = bad.join()
	}
	if err != nil {
		return nil, err
	}
	if len(accounts) == 0 {
		return nil, fmt.Errorf("htpasswd: %s: %w; to lock an account out, end its line with :disabled", file, ErrNoAccounts)
	}
	return accounts, nil
}

func parseAccount(line []byte, policy password.Policy) (*verify.Account, error) {
	field, rest, found := bytes.Cut(line, []byte{':'})
	if !found {
		return nil, errors.New("no colon: a line is name:hash")
	}
	name := string(field)
	if err := verify.ValidName(name); err != nil {
		return nil, err
	}
	encoded, settings, found := bytes.Cut(rest, []byte{':'})
	if len(encoded) == 0 {
		return nil, errors.New("the hash is empty")
	}
	a := &verify.Account{Name: name}
	var err error
	// A string of its own: a substring would keep the whole file in memory.
	if a.Password, err = policy.Parse(string(encoded)); err != nil {
		return nil, err
	}
	if found {
		if err := parseSettings(a, string(settings), policy); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// parseSettings refuses an empty field too: it may be what is left of "disabled" in a half-written file.
func parseSettings(a *verify.Account, settings string, policy password.Policy) error {
	words := strings.Fields(settings)
	if len(words) == 0 {
		return errors.New("nothing after the second colon: remove it, or write disabled or expires=TIME")
	}
	var previous *password.Hash
	for _, word := range words {
		key, value, _ := strings.Cut(word, "=")
		var err error
		switch {
		case word == wordDisabled && !a.Disabled:
			a.Disabled = true
		case key == wordExpires && a.Expires.IsZero():
			a.Expires, err = parseTime(key, value)
		case key == wordPrevious && previous == nil:
			if previous, err = policy.Parse(value); err != nil {
				err = fmt.Errorf("previous: %w", err)
			}
		case key == wordPreviousExpires && a.PreviousExpires.IsZero():
			a.PreviousExpires, err = parseTime(key, value)
		default:
			return errUnknownSetting
		}
		if err != nil {
			return err
		}
	}
	if (previous == nil) != a.PreviousExpires.IsZero() {
		return errors.New("previous=HASH and previous-expires=TIME belong together: add the missing one or remove the other")
	}
	a.Password = a.Password.WithPrevious(previous)
	return nil
}

var errUnknownSetting = errors.New("what follows the hash is not one each of disabled, expires=TIME, previous=HASH and previous-expires=TIME: " +
	"put comments on a line of their own that begins with #")

// The words of an account's settings.
const (
	wordDisabled        = "disabled"
	wordExpires         = "expires"
	wordPrevious        = "previous"
	wordPreviousExpires = "previous-expires"
)

func parseTime(key, value string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil || t.IsZero() {
		return time.Time{}, fmt.Errorf("%s is not an RFC 3339 time such as 2026-12-31T00:00:00Z", key)
	}
	return t, nil
}

// eachLine calls fn with the lines that are neither blank nor comments. A fault that fn
// returns is collected; the error that eachLine returns is about the whole file.
func eachLine(content []byte, file string, bad *faults, fn func(n int, line []byte) error) error {
	if len(content) > maxFileBytes {
		return fmt.Errorf("htpasswd: %w", tooLarge(file))
	}
	if bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
		return fmt.Errorf("htpasswd: %s: UTF-16: save it as UTF-8", file)
	}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	for n := 1; len(content) > 0; n++ {
		var line []byte
		line, content, _ = bytes.Cut(content, []byte{'\n'})
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if err := checkLine(line); err != nil {
			bad.add(n, err)
			continue
		}
		text := bytes.TrimLeft(line, " \t")
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		if err := fn(n, bytes.TrimRight(line, " \t")); err != nil {
			bad.add(n, err)
		}
	}
	return nil
}

// checkLine also looks into comments: a CR in one would hide the accounts after it, and NULs are what a crash leaves of a
// file that was being written.
func checkLine(line []byte) error {
	if len(line) > maxLineBytes {
		return fmt.Errorf("longer than %d bytes", maxLineBytes)
	}
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return errors.New("a control character")
		}
	}
	return nil
}

// faults collects the bad lines of a file within a bound.
type faults struct {
	file string
	errs []error
	more int
}

func (f *faults) add(line int, err error) {
	if len(f.errs) == maxReportedLines {
		f.more++
		return
	}
	f.errs = append(f.errs, &ParseError{File: f.file, Line: line, Err: err})
}

func (f *faults) join() error {
	if f.more > 0 {
		return errors.Join(append(f.errs, fmt.Errorf("htpasswd: %s: and %d more bad lines", f.file, f.more))...)
	}
	return errors.Join(f.errs...)
}
