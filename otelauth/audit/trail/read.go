// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"path/filepath"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// Line is one line of a trail.
type Line struct {
	Seq   int64
	Time  time.Time
	Event string
	// JSON is the line without its newline. It is valid until the next line is read.
	JSON []byte
}

// Lines returns the lines of the trail in dir from number from on, in order, without verifying
// them. It ends after the last whole line, or with an error. Lines that were pruned are left out.
func Lines(ctx context.Context, dir string, from int64) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		r := reader{disk: disk.OS{}, dir: dir}
		if err := r.lines(ctx, from, math.MaxInt64, yield); err != nil {
			yield(Line{}, err)
		}
	}
}

// reader reads the segments of a folder.
type reader struct {
	disk disk.FS
	dir  string
}

// lines calls yield with the lines from to to-1. The error is not passed to yield.
func (r *reader) lines(ctx context.Context, from, to int64, yield func(Line, error) bool) error {
	firsts, _, err := listSegments(r.disk, r.dir)
	if isNotExist(err) || err == nil && len(firsts) == 0 {
		return fmt.Errorf("%w: %s has no segments", ErrNotFound, r.dir)
	}
	if err != nil {
		return fmt.Errorf("trail: %w; check the permissions of the folder", err)
	}
	for i, first := range firsts {
		if i+1 < len(firsts) && firsts[i+1] <= from {
			continue
		}
		if first >= to {
			return nil
		}
		if goOn, err := r.segment(ctx, first, from, to, yield); err != nil || !goOn {
			return err
		}
	}
	return nil
}

func (r *reader) segment(ctx context.Context, first, from, to int64, yield func(Line, error) bool) (goOn bool, err error) {
	name := segmentName(first)
	f, err := r.disk.Open(filepath.Join(r.dir, segmentsName, name))
	if err != nil {
		return false, fmt.Errorf("trail: %w; check the permissions of the folder", err)
	}
	defer func() { _ = f.Close() }()
	lines := newLineReader(f, readAll)
	for n := first; ; n++ {
		if n%tileWidth == 0 && ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		line, err := lines.next()
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("trail: %s: %w; verify the trail", name, err)
		}
		seq, _, err := parseSeq(line)
		if err == nil && seq < from {
			continue
		}
		if err == nil && seq >= to {
			return false, nil
		}
		l, err := parseLine(line)
		if err != nil {
			return false, fmt.Errorf("trail: %s at line %d: %w; verify the trail", name, n, err)
		}
		if !yield(l, nil) {
			return false, nil
		}
	}
}

// line returns the line with the number seq.
func (r *reader) line(ctx context.Context, seq int64) ([]byte, error) {
	var found []byte
	err := r.lines(ctx, seq, seq+1, func(l Line, _ error) bool {
		found = append([]byte(nil), l.JSON...)
		return false
	})
	if err == nil && found == nil {
		err = fmt.Errorf("%w: the trail in %s has no line %d", ErrNotFound, r.dir, seq)
	}
	return found, err
}
