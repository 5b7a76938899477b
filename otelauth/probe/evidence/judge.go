// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Judge returns the judgement on what has arrived so far. Call it after [Ledger.Wait]. It may be
// called again.
func (l *Ledger) Judge() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.resolve()
	r := Report{Attempts: make([]Judgement, len(l.entries)), Received: l.received}
	r.Received.Dropped += l.spans.lost
	c := &checker{Ledger: l, hashes: l.hashesOfUsers()}
	for i, e := range l.entries {
		r.Attempts[i] = Judgement{ID: e.ID, Verdict: Recorded}
		if e.count == 0 && (e.Optional || len(e.Outcomes) == 0) {
			r.Attempts[i].Verdict = NotRequired
		}
		c.judge(e, &r.Attempts[i])
	}
	r.Findings = append(r.Findings, l.judgeFolds(r.Attempts)...)
	r.Findings = append(r.Findings, l.judgeLeaks(r.Attempts)...)
	r.Findings = append(r.Findings, l.judgeOthers()...)
	if l.require[Metrics] {
		series, findings := l.judgeSeries()
		r.Series = series
		r.Findings = append(r.Findings, findings...)
	}
	for i := range r.Attempts {
		r.Attempts[i].conclude()
	}
	r.Delay = delayOf(r.Attempts)
	return r
}

// add adds a finding once.
func (j *Judgement) add(f Finding) {
	if !slices.Contains(j.Findings, f) {
		j.Findings = append(j.Findings, f)
	}
}

// conclude sorts the findings, the most severe first, and sets the verdict.
func (j *Judgement) conclude() {
	slices.SortStableFunc(j.Findings, func(a, b Finding) int { return rank(a.Verdict) - rank(b.Verdict) })
	if len(j.Findings) > 0 {
		j.Verdict = j.Findings[0].Verdict
	}
}

func rank(v Verdict) int { return slices.Index(severity, v) }

func delayOf(judged []Judgement) Delay {
	var all []time.Duration
	for i := range judged {
		if len(judged[i].Arrived) > 0 {
			all = append(all, judged[i].Delay)
		}
	}
	if len(all) == 0 {
		return Delay{}
	}
	slices.Sort(all)
	return Delay{Median: all[len(all)/2], P95: all[len(all)*95/100], Max: all[len(all)-1]}
}

// isLossy reports whether something that arrived was not kept.
func (l *Ledger) isLossy() bool { return l.received.Refused > 0 || l.received.Dropped > 0 }

// unlessLost returns v, or Unknown if what is missing may have been refused or dropped.
func (l *Ledger) unlessLost(v Verdict) Verdict {
	if l.isLossy() {
		return Unknown
	}
	return v
}

// signal returns what the run is judged by.
func (l *Ledger) signal() string {
	if l.received.Lines > 0 && l.received.Events == 0 {
		return "line"
	}
	return "event"
}

// hashesOfUsers returns the value of user.hash that most events of a user have, and for each value
// the user of most of its events.
func (l *Ledger) hashesOfUsers() hashes {
	count := map[[2]string]int{}
	for _, e := range l.entries {
		for _, of := range e.events {
			if h := of.get(keyUserHash); h != "" && e.User != "" {
				count[[2]string{e.User, h}]++
			}
		}
	}
	h := hashes{of: map[string]string{}, user: map[string]string{}}
	best, bestUser := map[string]int{}, map[string]int{}
	for _, key := range slices.SortedFunc(maps.Keys(count), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		if n := count[key]; n > best[key[0]] {
			best[key[0]], h.of[key[0]] = n, key[1]
		}
		if n := count[key]; n > bestUser[key[1]] {
			bestUser[key[1]], h.user[key[1]] = n, key[0]
		}
	}
	return h
}

type hashes struct{ of, user map[string]string }

// maxOtherFindings bounds the findings about events of others.
const maxOtherFindings = 20

// judgeOthers returns findings about events of attempts that were not made.
func (l *Ledger) judgeOthers() []Finding {
	if !l.require[NoOthers] || l.cfg.SharedTraffic {
		return nil
	}
	var all []Finding
	more := 0
	for _, e := range l.others {
		if !e.time.IsZero() && e.time.Before(l.begun) {
			continue // of before the run
		}
		if len(all) >= maxOtherFindings {
			more++
			continue
		}
		all = append(all, Finding{
			Verdict: Unexpected, Requirement: NoOthers, Signal: e.signal, Field: e.place(), Got: l.safe(e.summary()),
			Detail: "No attempt of the run has the tokens of this record. If others use the service during the run, say so with shared traffic; " +
				"otherwise the service records attempts that were not made, or loses traceparent, X-Request-Id and User-Agent.",
		})
	}
	if more > 0 {
		all = append(all, Finding{
			Verdict: Unexpected, Requirement: NoOthers, Signal: l.signal(), Got: fmt.Sprint(more),
			Detail: fmt.Sprintf("%d further records have no token of the run.", more),
		})
	}
	return all
}

// lineOfRun names a line. Lines are counted from where the run began to read, not from the start of
// the file.
func lineOfRun(n int64) string { return fmt.Sprintf("line %d of the run", n) }

func (e *event) place() string {
	if e.line > 0 {
		return lineOfRun(e.line)
	}
	return "trace " + e.trace.String()
}

func (e *event) summary() string {
	return fmt.Sprintf("%s %s %s %s", e.name, e.get(keyOutcome), e.get(keyMethod), e.get(keyRoute))
}
