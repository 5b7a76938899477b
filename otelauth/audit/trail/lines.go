// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"errors"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// lineReader reads the lines of a file in order, with bounded memory.
type lineReader struct {
	file   io.ReaderAt
	offset int64 // of buf[1] in the file
	buf    []byte
	line   int // where the newest line begins in buf, not 0
	start  int // where the next line begins in buf, not 0
	isEnd  bool
}

// errTooLong means that no newline follows within the bound of a line.
var errTooLong = errors.New("a line is longer than 65535 bytes")

// errTorn means that bytes follow the last newline.
var errTorn = errors.New("the last line has no newline")

// How much is read at once, to read one line and to read all.
const (
	readLine = 4 << 10
	readAll  = 512 << 10
)

// newLineReader returns a reader that reads so many bytes at once.
func newLineReader(f io.ReaderAt, bytes int) *lineReader {
	return &lineReader{file: f, buf: make([]byte, 1, bytes+MaxLineBytes+2), start: 1}
}

// reset begins another file.
func (r *lineReader) reset(f io.ReaderAt) { *r = lineReader{file: f, buf: r.buf[:1], start: 1} }

// position returns the offset of the next line in the file.
func (r *lineReader) position() int64 { return r.offset + int64(r.start-1) }

// leaf returns the hash of the newest line.
func (r *lineReader) leaf() tlog.Hash { return leafHash(r.buf[r.line-1 : r.start-1]) }

// next returns the next line without its newline, valid until the following call. The error is
// io.EOF at the end, errTorn, errTooLong, or that of the file.
func (r *lineReader) next() ([]byte, error) {
	searched := r.start
	for {
		if i := bytes.IndexByte(r.buf[searched:], '\n'); i >= 0 {
			line := r.buf[r.start : searched+i]
			if len(line) > MaxLineBytes {
				return nil, errTooLong
			}
			r.line, r.start = r.start, searched+i+1
			return line, nil
		}
		if len(r.buf)-r.start > MaxLineBytes {
			return nil, errTooLong
		}
		if r.isEnd {
			if r.start < len(r.buf) {
				return nil, errTorn
			}
			return nil, io.EOF
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
		searched = r.start
	}
}

// fill moves what is left to the beginning of buf and reads more.
func (r *lineReader) fill() error {
	end := 1 + copy(r.buf[1:cap(r.buf)], r.buf[r.start:])
	r.offset += int64(r.start - 1)
	r.start = 1
	n, err := r.file.ReadAt(r.buf[end:end+cap(r.buf)-MaxLineBytes-2], r.offset+int64(end-1))
	r.buf = r.buf[:end+n]
	if errors.Is(err, io.EOF) {
		r.isEnd = true
		return nil
	}
	return err
}
