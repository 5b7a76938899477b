// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"sync"

	"github.com/otelauth/otelauth-go/otelauth/probe"
)

// spool keeps the rows of a run in a file, one JSON object a line, so that memory does not grow
// with the run. With --resume the file outlives the run, and the next one reads it.
type spool struct {
	file   *os.File
	remove bool
	// resumes says that the file is that of an earlier run.
	resumes bool

	mu   sync.Mutex
	size int64
	// rows is where the row of each endpoint is, by its method and path.
	rows  map[string]place
	order []string
	fresh []string // of order: those of this run
	// complete adds to an attempt what is known at the end of the run; nil: nothing.
	complete func(*probe.Attempt)
	// judges says that this run judges telemetry. earlier is the judgement on earlier runs, or nil.
	judges  bool
	earlier *judged
}

type place struct{ offset, length int64 }

// spoolHeader is the first line.
type spoolHeader struct {
	Probe int `json:"otelauth_probe"` // the version of the format
	probeSettings
}

const spoolVersion = 2

// spoolLine is any other line: a row, or the judgement on the telemetry of the runs before it.
type spoolLine struct {
	probe.Row
	Judged *judged `json:"judged,omitempty"`
}

// openSpool opens the file of an earlier run, or creates one. Without a path it is a temporary
// file. judges says that the run judges telemetry. Of an earlier run with other settings nothing
// can be used.
func openSpool(path string, settings probeSettings, judges bool) (*spool, error) {
	s := &spool{rows: make(map[string]place), judges: judges}
	var err error
	if path == "" {
		s.remove = true
		if s.file, err = os.CreateTemp("", "otelauth-probe-*"); err == nil {
			_ = os.Remove(s.file.Name()) // nothing is left of a killed process; close repeats it
		}
	} else {
		s.file, err = os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	}
	if err != nil {
		return nil, err
	}
	if err := s.load(settings); err != nil {
		s.close()
		return nil, fmt.Errorf("--resume: %s: %w", path, err)
	}
	return s, nil
}

// load reads where the rows are. A last line that was cut is written again.
func (s *spool) load(settings probeSettings) error {
	r := bufio.NewReaderSize(s.file, 64<<10)
	first := true
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if first {
			var h spoolHeader
			if json.Unmarshal(line, &h) != nil || h.Probe != spoolVersion {
				return errors.New("not the file of a probe: choose another one, which may not exist yet")
			}
			if h.Target != settings.Target {
				return fmt.Errorf("the run in it was against %s: choose another file", quoted(shown(h.Target)))
			}
			if text := h.differences(settings); text != "" {
				return fmt.Errorf("the run in it had other settings: %s. Repeat them to continue that run, or choose another file to begin a new one", text)
			}
			first, s.resumes = false, true
		} else {
			var of spoolLine
			if err := json.Unmarshal(line, &of); err != nil {
				return errors.New("a line is not a row of a probe: choose another file")
			}
			switch {
			case of.Judged != nil:
				s.earlier = of.Judged
			case !of.Cut:
				s.note(of.Row, int64(len(line)))
			}
		}
		s.size += int64(len(line))
	}
	if !first {
		return s.file.Truncate(s.size)
	}
	if info, err := s.file.Stat(); err != nil || info.Size() > 0 {
		return errors.New("not the file of a probe: choose another one, which may not exist yet")
	}
	line, err := json.Marshal(spoolHeader{spoolVersion, settings})
	if err != nil {
		return err
	}
	return s.append(append(line, '\n'))
}

func (s *spool) note(row probe.Row, length int64) {
	key := row.Endpoint.String()
	if _, known := s.rows[key]; !known {
		s.order = append(s.order, key)
	}
	s.rows[key] = place{s.size, length}
}

func (s *spool) append(line []byte) error {
	n, err := s.file.WriteAt(line, s.size)
	if err == nil {
		s.size += int64(n)
	}
	return err
}

// done returns the row of an endpoint from an earlier run. If this run judges telemetry and that
// of the row was not judged, because the earlier run was killed, it is not done.
func (s *spool) done(e probe.Endpoint) (probe.Row, bool) {
	s.mu.Lock()
	at, found := s.rows[e.String()]
	s.mu.Unlock()
	if !found {
		return probe.Row{}, false
	}
	row, err := s.read(at)
	return row, err == nil && (!s.judges || isJudged(row))
}

func (s *spool) read(at place) (probe.Row, error) {
	var row probe.Row
	line := make([]byte, at.length)
	if _, err := s.file.ReadAt(line, at.offset); err != nil {
		return row, err
	}
	err := json.Unmarshal(line, &row)
	return row, err
}

// add appends a row. The engine calls it one row at a time.
func (s *spool) add(row probe.Row) error {
	line, err := json.Marshal(row)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	s.mu.Lock()
	defer s.mu.Unlock()
	key := row.Endpoint.String()
	if at, known := s.rows[key]; row.Cut || known && s.isTaken(at) {
		return nil
	}
	s.fresh = append(s.fresh, key)
	s.note(row, int64(len(line)))
	return s.append(line)
}

// isTaken reports whether the engine has the row that is kept there from this file.
func (s *spool) isTaken(at place) bool {
	row, err := s.read(at)
	return err == nil && (!s.judges || isJudged(row))
}

// all returns the rows in the order in which they were completed.
func (s *spool) all() iter.Seq2[probe.Row, error] {
	return func(yield func(probe.Row, error) bool) {
		for _, key := range s.order {
			row, err := s.read(s.rows[key])
			if s.complete != nil {
				for i := range row.Attempts {
					s.complete(&row.Attempts[i])
				}
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func (s *spool) close() {
	_ = s.file.Close()
	if s.remove {
		_ = os.Remove(s.file.Name())
	}
}
