// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package authlog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"container/heap"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// MaxLineBytes bounds a line. A longer one is unreadable.
const MaxLineBytes = 1 << 20

// File is one log.
type File struct {
	Name string
	// Reader is the content, compressed with gzip or not.
	Reader io.Reader
	Options
}

// Counts are the lines of all files.
type Counts struct {
	Lines  int64
	Kinds  [KindCount]int64 // lines, by kind
	Folded int64            // denials without a line of their own
	// Unreadable is the place of the first line in no known format, such as "auth.log:17"; ""
	// if there is none.
	Unreadable string
	// Backwards is the number of attempts that are more than a minute older than the one before
	// them; FirstBackwards is the place of the first.
	Backwards      int64
	FirstBackwards string
}

// Merge calls each with every attempt of the files, in the order of time. Files of rotated logs and
// of several servers may come in any order; within a file, lines follow each other. It stops at the
// first error of each, and returns it.
func Merge(files []File, each func(*Attempt) error) (Counts, error) {
	var c Counts
	var queue sources
	for i, f := range files {
		s := &stream{name: f.Name, order: i, counts: &c}
		if err := s.open(f); err != nil {
			return c, err
		}
		more, err := s.next()
		if err != nil {
			return c, err
		}
		if more {
			queue = append(queue, s)
		}
	}
	var both twins
	heap.Init(&queue)
	for len(queue) > 0 {
		s := queue[0]
		if both.isTwin(&s.attempt) {
			c.Kinds[Attempted]--
			c.Kinds[Duplicate]++
		} else if err := each(&s.attempt); err != nil {
			return c, err
		}
		more, err := s.next()
		if err != nil {
			return c, err
		}
		if more {
			heap.Fix(&queue, 0)
		} else {
			heap.Pop(&queue)
		}
	}
	return c, nil
}

// stream reads the attempts of one file.
type stream struct {
	name    string
	order   int
	in      *bufio.Reader
	parser  *Parser
	counts  *Counts
	line    int64
	attempt Attempt
	newest  time.Time
}

func (s *stream) open(f File) error {
	in := bufio.NewReaderSize(f.Reader, 64<<10)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("%s: not a readable gzip file: %w", f.Name, err)
		}
		in = bufio.NewReaderSize(z, 64<<10)
	}
	s.in = in
	var err error
	s.parser, err = NewParser(f.Options)
	return err
}

// next reads up to the next attempt. It returns false at the end.
func (s *stream) next() (bool, error) {
	for {
		raw, err := s.read()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("%s:%d: %w", s.name, s.line+1, err)
		}
		s.line++
		s.counts.Lines++
		line := Line{}
		if raw != nil {
			line = s.parser.Line(raw)
		}
		s.counts.Kinds[line.Kind]++
		s.counts.Folded += line.Folded
		switch line.Kind {
		case Unreadable:
			if s.counts.Unreadable == "" {
				s.counts.Unreadable = s.place()
			}
		case Attempted:
			s.attempt = line.Attempt
			if s.newest.Sub(line.Attempt.Time) > time.Minute {
				if s.counts.Backwards++; s.counts.Backwards == 1 {
					s.counts.FirstBackwards = s.place()
				}
			}
			if line.Attempt.Time.After(s.newest) {
				s.newest = line.Attempt.Time
			}
			return true, nil
		}
	}
}

func (s *stream) place() string { return fmt.Sprintf("%s:%d", s.name, s.line) }

// read returns the next line, or nil for one that is too long.
func (s *stream) read() ([]byte, error) {
	line, err := s.in.ReadSlice('\n')
	if err == nil || errors.Is(err, io.EOF) && len(line) > 0 {
		return line, nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = s.in.ReadSlice('\n')
		if len(long) <= MaxLineBytes {
			long = append(long, line...)
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(long) > MaxLineBytes {
		return nil, nil
	}
	return long, nil
}

// sources is a heap of streams by the time of their next attempt.
type sources []*stream

func (q sources) Len() int { return len(q) }
func (q sources) Less(i, j int) bool {
	if c := q[i].attempt.Time.Compare(q[j].attempt.Time); c != 0 {
		return c < 0
	}
	return q[i].order < q[j].order
}
func (q sources) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push implements [heap.Interface].
func (q *sources) Push(x any) { *q = append(*q, x.(*stream)) }

// Pop implements [heap.Interface].
func (q *sources) Pop() any {
	last := len(*q) - 1
	s := (*q)[last]
	*q = (*q)[:last]
	return s
}

const (
	// twinWindow is the longest time between the two lines about one wrong password in the access
	// log and in the error log of a server.
	twinWindow = time.Minute
	// maxTwins bounds the lines that wait for their twin. In a faster flood the oldest are
	// forgotten, and count twice.
	maxTwins = 1 << 16
)

// twins finds wrong passwords that both the access log and the error log of a server report.
type twins struct {
	newer map[twin]int
	older map[twin]int
	since time.Time // of newer
}

type twin struct {
	client netip.Addr
	name   string
	source source
}

// isTwin reports whether an earlier line of the other log was about the attempt a.
func (t *twins) isTwin(a *Attempt) bool {
	if a.source == fromOther || a.Outcome != attempt.Failure {
		return false
	}
	if a.Time.Sub(t.since) > twinWindow || len(t.newer) >= maxTwins {
		t.older, t.newer, t.since = t.newer, map[twin]int{}, a.Time
	}
	other := twin{a.Client, a.Name, fromErrorLog}
	if a.source == fromErrorLog {
		other.source = fromAccessLog
	}
	for _, waiting := range [...]map[twin]int{t.older, t.newer} {
		if n := waiting[other]; n > 0 {
			if waiting[other]--; n == 1 {
				delete(waiting, other)
			}
			return true
		}
	}
	t.newer[twin{a.Client, a.Name, a.source}]++
	return false
}
