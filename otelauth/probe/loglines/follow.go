// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package loglines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
)

// pollEvery is how often a file is looked at.
const pollEvery = 100 * time.Millisecond

// Follow calls sink with each line that is appended to the file after the call of ready. When ctx
// ends it reads what is left, and returns. It waits for a file that does not exist yet. A file that
// is truncated or replaced is read from its beginning. Lines are numbered from 1 where reading
// began. The error is that of the file.
func Follow(ctx context.Context, path string, f *Fields, ready func(), sink func(evidence.Record)) error {
	t := &tail{path: path, fields: f, sink: sink}
	defer t.close()
	if err := t.open(io.SeekEnd); err != nil {
		return err
	}
	ready()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := t.poll(false); err != nil {
				return err
			}
		case <-ctx.Done():
			return t.poll(true)
		}
	}
}

// tail is a file that grows.
type tail struct {
	path   string
	file   *os.File
	at     int64
	held   []byte // the beginning of a line whose end is not written yet
	fields *Fields
	line   int64
	sink   func(evidence.Record)
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close()
	}
}

// open opens the file if it exists.
func (t *tail) open(whence int) error {
	file, err := os.Open(t.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("loglines: cannot read the log: %w", err)
	}
	t.file = file
	if t.at, err = file.Seek(0, whence); err != nil {
		return fmt.Errorf("loglines: cannot follow %s; pass a stream as -: %w", t.path, err)
	}
	return nil
}

// poll reads what was appended. atEnd takes a last line without a newline too.
func (t *tail) poll(atEnd bool) error {
	if t.file == nil {
		if err := t.open(io.SeekStart); err != nil || t.file == nil {
			return err
		}
	}
	if err := t.drain(); err != nil {
		return err
	}
	if info, err := os.Stat(t.path); err == nil {
		mine, err := t.file.Stat()
		switch {
		case err == nil && !os.SameFile(info, mine): // rotated
			t.close()
			t.file, t.held = nil, nil
			if err := t.open(io.SeekStart); err != nil {
				return err
			}
			if t.file != nil {
				if err := t.drain(); err != nil {
					return err
				}
			}
		case err == nil && mine.Size() < t.at: // truncated
			t.held = nil
			if t.at, err = t.file.Seek(0, io.SeekStart); err != nil {
				return fmt.Errorf("loglines: %w", err)
			}
			if err := t.drain(); err != nil {
				return err
			}
		}
	}
	if atEnd && len(t.held) > 0 {
		t.emit(t.held)
		t.held = nil
	}
	return nil
}

func (t *tail) drain() error {
	buffer := make([]byte, 64<<10)
	for {
		n, err := t.file.Read(buffer)
		t.at += int64(n)
		t.split(buffer[:n])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("loglines: cannot read the log: %w", err)
		}
	}
}

// split emits the lines that are complete.
func (t *tail) split(part []byte) {
	for _, c := range part {
		switch {
		case c == '\n':
			t.emit(t.held)
			t.held = nil
		case len(t.held) < MaxLineBytes:
			t.held = append(t.held, c)
		}
	}
}

func (t *tail) emit(line []byte) {
	t.line++
	if len(line) == 0 {
		return
	}
	rec := t.fields.Record(line)
	rec.Line, rec.Arrived = t.line, time.Now()
	t.sink(rec)
}
