// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package htpasswd

import (
	"time"
)

const (
	// A file that is missing, empty or without an end of its last line is being written more often than not, so it must stand
	// still for so many times Settle. A missing last newline is not refused: secrets made with $(htpasswd …) lack it.
	unsureFactor = 5
	// A file that does not stand still for so many times Settle is told of.
	restlessFactor = 50
)

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
