// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// judgeSeries compares the increase of each series with the attempts that were made.
func (l *Ledger) judgeSeries() ([]Series, []Finding) {
	if !l.series.isSeen && len(l.entries) > 0 {
		return nil, []Finding{{
			Verdict: l.unlessLost(Uncounted), Requirement: Metrics, Signal: "metric", Field: "auth.attempts", Want: "one series for each endpoint and outcome", Got: "none",
			Detail: "auth.attempts did not arrive. If the service exports it less often than the run waited, wait longer or lower OTEL_METRIC_EXPORT_INTERVAL.",
		}}
	}
	project := l.projection()
	made := l.made(project)
	counted, inexact := map[seriesKey]int64{}, map[seriesKey]bool{}
	for _, s := range l.series.streams {
		n, isExact := s.increase(l.series.processes[s.resource], l.begun)
		key := project(s.key)
		counted[key] += n
		inexact[key] = inexact[key] || !isExact
		if _, ok := made[key]; !ok {
			made[key] = bounds{}
		}
	}
	var all []Series
	var findings []Finding
	keys := slices.SortedFunc(maps.Keys(made), func(a, b seriesKey) int {
		return cmp.Or(cmp.Compare(a.route, b.route), cmp.Compare(a.method, b.method), cmp.Compare(a.outcome, b.outcome))
	})
	for _, key := range keys {
		b := made[key]
		s := Series{
			Outcome: l.safe(key.outcome), Route: l.safe(key.route), Method: l.safe(key.method),
			Least: b.least, Most: b.most, Counted: counted[key], Verdict: Recorded,
		}
		if s == (Series{Outcome: s.Outcome, Route: s.Route, Method: s.Method, Verdict: Recorded}) {
			continue // did not grow and was not expected to
		}
		if f, ok := l.seriesFinding(&s, inexact[key]); ok {
			findings = append(findings, f)
		}
		all = append(all, s)
	}
	return all, findings
}

// seriesFinding sets the verdict on a series. ok is false if it is right.
func (l *Ledger) seriesFinding(s *Series, isInexact bool) (f Finding, ok bool) {
	f = Finding{
		Requirement: Metrics, Signal: "metric", Field: s.name(), Want: strconv.FormatInt(s.Least, 10), Got: strconv.FormatInt(s.Counted, 10),
	}
	if s.Least != s.Most {
		f.Want += " to " + strconv.FormatInt(s.Most, 10)
	}
	switch {
	case s.Counted < s.Least && l.isLossy():
		f.Verdict, f.Detail = Unknown, "The series grew by less than the attempts, but telemetry was refused or dropped."
	case s.Counted < s.Least && !l.series.isFinal(l):
		f.Verdict, f.Detail = Unknown, "The series grew by less than the attempts, but no export is younger than the last answer. Wait longer, or lower OTEL_METRIC_EXPORT_INTERVAL."
	case s.Counted < s.Least:
		f.Verdict, f.Detail = Uncounted, fmt.Sprintf("The series did not count %d attempts.", s.Least-s.Counted)
	case s.Counted > s.Most && l.cfg.SharedTraffic:
		return f, false
	case s.Counted > s.Most && isInexact:
		f.Verdict, f.Detail = Unknown, "The series grew by more than the attempts, but may have counted some before the run. Let metrics arrive before the first request."
	case s.Counted > s.Most:
		f.Verdict, f.Detail = Unexpected, fmt.Sprintf("The series counted %d attempts that were not made. If others use the service during the run, say so with shared traffic.", s.Counted-s.Most)
	default:
		return f, false
	}
	s.Verdict = f.Verdict
	return f, true
}

func (s *Series) name() string {
	name := "auth.attempts{auth.outcome=" + s.Outcome
	if s.Route != "" {
		name += ",http.route=" + s.Route
	}
	if s.Method != "" {
		name += ",http.request.method=" + s.Method
	}
	return name + "}"
}

// isFinal reports whether every process has exported what it counted until the last answer: a
// point is younger, or two exports have arrived since.
func (t *seriesTable) isFinal(l *Ledger) bool {
	for _, p := range t.processes {
		if p.after < 2 && !p.lastPoint.After(l.lastAnswer) {
			return false
		}
	}
	return true
}

// projection returns a function that removes what the expectations do not know from a series.
func (l *Ledger) projection() func(seriesKey) seriesKey {
	hasRoutes, hasMethods := true, true
	for _, e := range l.entries {
		if len(e.Outcomes) > 0 {
			hasRoutes, hasMethods = hasRoutes && e.Route != "", hasMethods && e.Method != ""
		}
	}
	return func(k seriesKey) seriesKey {
		if k.route = l.known(k.route); !hasRoutes {
			k.route = ""
		}
		if !hasMethods {
			k.method = ""
		}
		return k
	}
}

type bounds struct{ least, most int64 }

// made returns how many attempts of each series were made. If the outcome is open, the event
// decides.
func (l *Ledger) made(project func(seriesKey) seriesKey) map[seriesKey]bounds {
	made := map[seriesKey]bounds{}
	add := func(e *entry, outcome string, least int64) {
		key := project(seriesKey{outcome, e.Route, e.Method})
		b := made[key]
		made[key] = bounds{b.least + least, b.most + 1}
	}
	for _, e := range l.entries {
		isCertain := !e.Optional && e.answer.Status != 0
		switch {
		case len(e.Outcomes) == 0:
		case e.count > 0 && e.events[0].signal == "event" && e.accepts(e.events[0].get(keyOutcome)):
			add(e, e.events[0].get(keyOutcome), 1)
		case len(e.possible()) == 1 && isCertain:
			add(e, e.possible()[0], 1)
		default:
			for _, o := range e.possible() {
				add(e, o, 0)
			}
		}
	}
	return made
}

// seriesSettled reports whether the series have counted every attempt.
func (l *Ledger) seriesSettled() bool {
	if !l.require[Metrics] {
		return true
	}
	version := l.series.exports + l.received.Events
	if l.series.judged == version {
		return l.series.isRight
	}
	l.series.judged = version
	_, findings := l.judgeSeries()
	l.series.isRight = len(findings) == 0
	return l.series.isRight
}
