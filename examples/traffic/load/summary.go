// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"text/tabwriter"
)

// Summary counts the answers. It is safe for concurrent use.
type Summary struct {
	mu       sync.Mutex
	statuses map[int]map[Visitor]int // 0: no answer
	skipped  int
	failure  error // the first
}

func newSummary() *Summary { return &Summary{statuses: make(map[int]map[Visitor]int)} }

func (s *Summary) count(who Visitor, status int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.failure = err
	}
	if s.statuses[status] == nil {
		s.statuses[status] = make(map[Visitor]int)
	}
	s.statuses[status][who]++
}

func (s *Summary) skip() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skipped++
}

// Count returns how many visits of who were answered with status. Status 0 counts visits without
// an answer.
func (s *Summary) Count(who Visitor, status int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statuses[status][who]
}

// Total returns how many visits were sent.
func (s *Summary) Total() (sum int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, by := range s.statuses {
		for _, n := range by {
			sum += n
		}
	}
	return sum
}

// Skipped returns how many visits were not sent because too many waited for an answer.
func (s *Summary) Skipped() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.skipped
}

// Failure returns the error of the first visit without an answer, or nil if all had one.
func (s *Summary) Failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// WriteTable prints the statuses, by visitor.
func (s *Summary) WriteTable(w io.Writer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "status\t%s\t%s\n", Honest, Attacker)
	statuses := make([]int, 0, len(s.statuses))
	for status := range s.statuses {
		statuses = append(statuses, status)
	}
	slices.Sort(statuses)
	for _, status := range statuses {
		name := "no answer"
		if status != 0 {
			name = fmt.Sprintf("%d %s", status, http.StatusText(status))
		}
		fmt.Fprintf(t, "%s\t%d\t%d\n", name, s.statuses[status][Honest], s.statuses[status][Attacker])
	}
	if s.skipped > 0 {
		fmt.Fprintf(t, "not sent\t%d: %d others waited for an answer\n", s.skipped, MaxInFlight)
	}
	return t.Flush()
}
