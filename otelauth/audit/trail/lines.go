// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail

import (
	"bytes"
	"errors"
	"io"
)

// lineReader reads the lines of a file in order, with bounded memory.
type lineReader struct {
	file   io.ReaderAt
	offset int64 // of buf in the file
	buf    []byte
	start  int // of the next line in buf
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
	return &lineReader{file: f, buf: make([]byte, 0, bytes+MaxLineBytes+1)}
}

// reset begins another file.
func (r *lineReader) reset(f io.ReaderAt) { *r = lineReader{file: f, buf: r.buf[:0]} }

// position returns the offset of the next line in the file.
func (r *lineReader) position() int64 { return r.offset + int64(r.start) }

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
			r.start = searched + i + 1
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
	left := copy(r.buf[:cap(r.buf)], r.buf[r.start:])
	r.offset += int64(r.start)
	r.start = 0
	n, err := r.file.ReadAt(r.buf[left:left+cap(r.buf)-MaxLineBytes-1], r.offset+int64(left))
	r.buf = r.buf[:left+n]
	if errors.Is(err, io.EOF) {
		r.isEnd = true
		return nil
	}
	return err
}
