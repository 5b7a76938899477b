// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"time"
)

const (
	// A file that is missing, empty or without an end of its last line is probably being written.
	// It must not change for this many times Settle. It is not refused, because secrets made with
	// $(htpasswd …) lack the last line end.
	unsureFactor = 5
	// A file that changes for this many times Settle is reported.
	restlessFactor = 50
)

// settler decides when a changed file may be read. It does no I/O and reads no clock.
type settler struct {
	settle time.Duration
	judged fingerprints // last served or refused

	pending  bool
	seen     fingerprints // the new content
	since    time.Time    // when seen was first seen
	restless time.Time    // when the files first differed from judged
	reported bool         // that they never stop changing
}

// verdict is the next step after a look at the files.
type verdict uint8

const (
	wait     verdict = iota // look again after settle
	rest                    // nothing has changed
	settled                 // read it
	restless                // report that it never stops changing, and look again
)

// see takes the fingerprints of a look and returns the next step.
func (s *settler) see(now time.Time, p fingerprints) verdict {
	if p == s.judged {
		s.judge(p)
		return rest
	}
	if !s.pending {
		s.pending, s.restless, s.reported = true, now, false
		s.seen, s.since = p, now
		return wait
	}
	if p != s.seen {
		s.seen, s.since = p, now
		if !s.reported && now.Sub(s.restless) >= restlessFactor*s.settle {
			s.reported = true
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

// judge stores the fingerprints that were served or refused, so that they are not read and
// reported again.
func (s *settler) judge(p fingerprints) {
	*s = settler{settle: s.settle, judged: p}
}
