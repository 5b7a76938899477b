// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/probeproof"
	"github.com/otelauth/otelauth-go/otelauth/probe"
	"github.com/otelauth/otelauth-go/otelauth/probe/evidence"
)

// judged is the judgement on the telemetry of earlier runs, as far as it is not about one endpoint.
type judged struct {
	Telemetry *probe.Telemetry `json:"telemetry"`
	Findings  []probe.Finding  `json:"findings,omitempty"`
	Gaps      []probe.Gap      `json:"gaps,omitempty"`
}

// isJudged reports whether the row has the evidence of each attempt that was sent.
func isJudged(row probe.Row) bool {
	return !slices.ContainsFunc(row.Attempts, func(a probe.Attempt) bool { return a.Token != "" && a.Evidence == nil })
}

func isTelemetry(f probe.Finding) bool {
	return f.Rule == probe.RuleTelemetry || f.Rule == probe.RuleSecret
}

// settle adds the judgement on earlier runs to the report, and keeps that on this one in the file.
// complete adds the evidence to an attempt. Without telemetry and without --resume it does nothing.
func (s *spool) settle(report *probe.Report, complete func(*probe.Attempt)) error {
	s.complete = complete
	if s.remove {
		return nil
	}
	if s.earlier != nil {
		if err := s.merge(report); err != nil {
			return err
		}
	}
	if !s.judges {
		return nil
	}
	for _, key := range s.fresh {
		row, err := s.read(s.rows[key])
		if err != nil {
			return err
		}
		for i := range row.Attempts {
			complete(&row.Attempts[i])
		}
		for _, f := range report.Findings {
			if isTelemetry(f) && f.Endpoint.String() == key {
				row.Findings = append(row.Findings, f)
			}
		}
		line, err := json.Marshal(row)
		if err != nil {
			return err
		}
		s.note(row, int64(len(line))+1)
		if err := s.append(append(line, '\n')); err != nil {
			return err
		}
	}
	part := judged{Telemetry: report.Telemetry}
	for _, f := range report.Findings {
		if isTelemetry(f) && f.Endpoint.Path == "" {
			part.Findings = append(part.Findings, f)
		}
	}
	for _, g := range report.NotTested {
		if g.Probe == probeproof.GapName {
			part.Gaps = append(part.Gaps, g)
		}
	}
	line, err := json.Marshal(map[string]judged{"judged": part})
	if err != nil {
		return err
	}
	return s.append(append(line, '\n'))
}

// merge adds the judgement on earlier runs to that of this one. The findings about endpoints came
// with their rows.
func (s *spool) merge(report *probe.Report) error {
	for _, f := range s.earlier.Findings {
		if !slices.ContainsFunc(report.Findings, func(g probe.Finding) bool { return g.ID == f.ID }) {
			report.Findings = append(report.Findings, f)
		}
	}
	report.Sort()
	for _, g := range s.earlier.Gaps {
		i := slices.IndexFunc(report.NotTested, func(h probe.Gap) bool { return h.Probe == g.Probe && h.Why == g.Why && h.Endpoint == g.Endpoint })
		if i < 0 {
			report.NotTested = append(report.NotTested, g)
			continue
		}
		report.NotTested[i].Times += g.Times
	}
	if report.Telemetry == nil {
		report.Telemetry = s.earlier.Telemetry
		return nil
	}
	now, before := report.Telemetry, s.earlier.Telemetry
	for v, n := range before.Attempts {
		now.Attempts[v] += n
	}
	now.Events += before.Events
	now.Spans += before.Spans
	now.Points += before.Points
	now.MaxDelay = max(now.MaxDelay, before.MaxDelay)
	mergeSeries(now, before.Series)
	var delays []time.Duration
	for row, err := range s.all() {
		if err != nil {
			return err
		}
		for _, a := range row.Attempts {
			if a.Evidence != nil && len(a.Evidence.Arrived) > 0 {
				delays = append(delays, a.Evidence.Delay)
			}
		}
	}
	if n := len(delays); n > 0 {
		slices.Sort(delays)
		now.MedianDelay, now.P95Delay = delays[n/2], delays[n*95/100]
	}
	return nil
}

// mergeSeries adds the increase of each series in earlier runs. A verdict that is not right stays.
func mergeSeries(t *probe.Telemetry, earlier []probe.Series) {
	for _, x := range earlier {
		i := slices.IndexFunc(t.Series, func(y probe.Series) bool {
			return x.Outcome == y.Outcome && x.Method == y.Method && x.Route == y.Route
		})
		if i < 0 {
			t.Series = append(t.Series, x)
			continue
		}
		y := &t.Series[i]
		y.Least, y.Most, y.Counted = y.Least+x.Least, y.Most+x.Most, y.Counted+x.Counted
		if y.Verdict == string(evidence.Recorded) {
			y.Verdict = x.Verdict
		}
	}
	slices.SortFunc(t.Series, func(a, b probe.Series) int {
		return cmp.Or(strings.Compare(a.Route, b.Route), strings.Compare(a.Method, b.Method), strings.Compare(a.Outcome, b.Outcome))
	})
}
