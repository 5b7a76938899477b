// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"bytes"
	"errors"
	"fmt"
)

// eachLine calls fn for each line that is neither empty nor a comment. It collects the errors of
// fn in bad. Its own error is about the whole file.
func eachLine(content []byte, file string, bad *badLines, fn func(n int, line []byte) error) error {
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

// checkLine checks comments too: a CR in a comment would hide the accounts after it, and NULs are
// what a crash leaves of a half-written file.
func checkLine(line []byte) error {
	if len(line) > maxLineBytes {
		return fmt.Errorf("longer than %d bytes: shorten it", maxLineBytes)
	}
	for _, c := range line {
		if c < ' ' && c != '\t' || c == 0x7f {
			return errors.New("a control character: remove it")
		}
	}
	return nil
}

// badLines collects the errors of bad lines, at most maxReportedLines.
type badLines struct {
	file string
	errs []error
	more int
}

// add adds the error of a line.
func (b *badLines) add(line int, err error) {
	if len(b.errs) == maxReportedLines {
		b.more++
		return
	}
	b.errs = append(b.errs, &ParseError{File: b.file, Line: line, Err: err})
}

// join returns all errors, joined, or nil.
func (b *badLines) join() error {
	if b.more > 0 {
		return errors.Join(append(b.errs, fmt.Errorf("htpasswd: %s: and %d more bad lines", b.file, b.more))...)
	}
	return errors.Join(b.errs...)
}
