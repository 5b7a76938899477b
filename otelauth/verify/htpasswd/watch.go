// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"fmt"
	"strings"
	"time"
)

const (
	// A file that is missing, empty or without an end of its last line is being written more often than not, so it must stand
	// still for so many times Settle. A missing last newline is not refused: secrets made with $(htpasswd …) lack it.
	unsureFactor = 5
	// A file that does not stand still for so many times Settle is told of.
	restlessFactor = 50
)

// follow reads the files when they change, until quit.
func (f *File) follow(n notifier) {
	defer close(f.done)
	defer n.close()
	poll := time.NewTicker(f.cfg.Poll)
	defer poll.Stop()
	settle := time.NewTimer(0) // looks at once, for a change between reading and now
	defer settle.Stop()
	waiting := true
	for {
		told := false
		select {
		case <-f.quit:
			return
		case <-settle.C:
			waiting = false
		case <-poll.C:
		case <-n.events():
			told = true
		}
		if waiting {
			continue // settle will look, after what was just told
		}
		// Before the look, so that no change falls between the two: a directory may be new, a symlink may point elsewhere.
		n.watch(f.paths())
		again := f.step(time.Now())
		if told && !again {
			// The first event of a write may come before its content.
			again = true
		}
		if again {
			settle.Reset(f.cfg.Settle)
			waiting = true
		}
	}
}

// step looks at the files once and reports whether to look again after Settle.
func (f *File) step(now time.Time) (again bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := f.look()
	switch f.settler.see(now, seen) {
	case rest:
		return false
	case restless:
		f.report(fmt.Errorf("htpasswd: %s: keeps changing and never stands still: replace it by rename, "+
			"or see who writes it (the previous %d accounts are still served)", strings.Join(f.paths(), ", "), f.Len()))
		return true
	case settled:
		v, err := f.read()
		if v.fingerprints != seen {
			f.settler.see(now, v.fingerprints) // written while we read
			return true
		}
		_ = f.serve(v, err) // told to OnReload
		return false
	default:
		return true
	}
}

// settler decides when a changed file may be read. It does no I/O and asks no clock.
type settler struct {
	settle time.Duration
	judged fingerprints // served or refused last

	pending  bool
	seen     fingerprints // the candidate
	since    time.Time    // when the candidate was seen first
	restless time.Time    // when the files began to differ from judged
	told     bool         // that they do not stand still
}

type verdict uint8

const (
	wait     verdict = iota // look again after settle
	rest                    // nothing is new
	settled                 // read it
	restless                // say that it does not stand still, and look again
)

func (s *settler) see(now time.Time, p fingerprints) verdict {
	if p == s.judged {
		s.judge(p)
		return rest
	}
	if !s.pending {
		s.pending, s.restless, s.told = true, now, false
		s.seen, s.since = p, now
		return wait
	}
	if p != s.seen {
		s.seen, s.since = p, now
		if !s.told && now.Sub(s.restless) >= restlessFactor*s.settle {
			s.told = true
			return restless
		}
		return wait
	}
	need := s.settle
	if p.unsure() {
		need *= unsureFactor
	}
	if now.Sub(s.since) < need {
		return wait
	}
	return settled
}

// judge remembers what was served or refused, so that it is not read and told again.
func (s *settler) judge(p fingerprints) {
	*s = settler{settle: s.settle, judged: p}
}
