// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/audit/trail/internal/disk"
)

// Follow returns the lines of the trail in dir from number from on, as [Lines] does, and then the
// lines that are written later, until ctx ends. It looks for them at each interval. idle is called
// before each wait; nil is allowed. Removed segments are left out.
func Follow(ctx context.Context, dir string, from int64, interval time.Duration, idle func()) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		f := follower{dir: dir, next: from}
		defer f.close()
		for {
			line, err := f.line()
			if err == nil {
				if line.Seq >= from && !yield(line, nil) {
					return
				}
				continue
			}
			if !errors.Is(err, io.EOF) {
				yield(Line{}, err)
				return
			}
			if idle != nil {
				idle()
			}
			select {
			case <-ctx.Done():
				yield(Line{}, ctx.Err())
				return
			case <-time.After(interval):
			}
		}
	}
}

// follower reads one segment after the other.
type follower struct {
	dir     string
	next    int64 // number of the line that is expected
	file    *os.File
	first   int64 // the first line of file
	in      *bufio.Reader
	partial []byte // of a line that is being written
}

func (f *follower) close() {
	if f.file != nil {
		_ = f.file.Close() // only read
		f.file = nil
	}
}

// line returns the next line. The error is [io.EOF] if there is none yet.
func (f *follower) line() (Line, error) {
	for {
		if f.file == nil {
			if err := f.open(f.next, false); err != nil {
				return Line{}, err
			}
		}
		part, err := f.in.ReadSlice('\n')
		f.partial = append(f.partial, part...)
		switch {
		case err == nil:
			line, err := parseLine(f.partial[:len(f.partial)-1])
			if err != nil {
				return Line{}, fmt.Errorf("trail: %s at line %d: %w; verify the trail", f.file.Name(), f.next, err)
			}
			f.partial = nil
			f.next = line.Seq + 1
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull) && len(f.partial) <= MaxLineBytes:
			continue
		case !errors.Is(err, io.EOF):
			return Line{}, err
		}
		// The writer flushes a segment before it begins the next one.
		if err := f.open(f.first+1, true); err != nil {
			return Line{}, err
		}
	}
}

// open opens the last segment that begins at or before line number at, or with later the first one
// that begins at or after it. The error is [io.EOF] if there is none.
func (f *follower) open(at int64, later bool) error {
	firsts, _, err := listSegments(disk.OS{}, f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("trail: %w; check the permissions of the folder", err)
	}
	i, found := slices.BinarySearch(firsts, at)
	if !later && !found && i > 0 {
		i--
	}
	if i >= len(firsts) {
		return io.EOF
	}
	file, err := os.Open(filepath.Join(f.dir, segmentsName, segmentName(firsts[i])))
	if errors.Is(err, fs.ErrNotExist) {
		return io.EOF // removed since
	}
	if err != nil {
		return err
	}
	f.close()
	f.file, f.first, f.in, f.partial = file, firsts[i], bufio.NewReaderSize(file, MaxLineBytes+1), nil
	return nil
}
