// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/internal/ranksum"
)

// timingAlpha is the probability of a finding by chance, over all looks at the samples together.
const timingAlpha = 0.001

// leastSamples is the number of samples of the first look. Each further look doubles it.
const leastSamples = 25

// considerTiming remembers the first endpoint at which an unknown name and a wrong password are
// denied alike.
func (p *Prober) considerTiming(row Row) {
	if p.timing != nil || row.Endpoint.Access != Protected {
		return
	}
	status := make(map[string]int)
	for _, a := range row.Attempts {
		if a.Verdict == Denied {
			status[a.Probe] = a.Answer.Status
		}
	}
	if s := status["wrong-password"]; s != 0 && s == status["unknown-user"] {
		p.timing = &row.Endpoint
	}
}

// compareTimes compares how long the target takes for unknown names and for wrong passwords. It
// stops when the difference is significant, or at the bound of samples.
func (p *Prober) compareTimes(ctx context.Context) {
	if p.config.Samples < 0 || p.stopped != "" || !slices.ContainsFunc(p.selected, func(q Probe) bool { return q.Name == "wrong-password" }) {
		return
	}
	switch {
	case p.config.Throwaway == "":
		p.gap(Gap{Probe: "timing", Why: notSentThrowaway})
		return
	case p.timing == nil:
		p.gap(Gap{Probe: "timing", Why: "no endpoint denies an unknown user and a wrong password alike"})
		return
	case p.config.GuessLimit > 0 && p.config.GuessLimit <= 2*leastSamples:
		p.gap(Gap{Probe: "timing", Why: fmt.Sprintf("the limit of the target admits less than %d guesses at a time: compare times with a copy that has no limit", 2*leastSamples)})
		return
	}
	s := p.sender()
	defer s.close()
	c := p.cell(*p.timing)
	var unknown, wrong []time.Duration
	looks := 1
	for n := leastSamples; n < p.config.Samples; n *= 2 {
		looks++
	}
	p.report.Timing = &Timing{Endpoint: *p.timing, P: 1}
	for look := leastSamples; ; look = min(2*look, p.config.Samples) {
		look = min(look, p.config.Samples)
		if !p.sample(ctx, s, c, look, &unknown, &wrong) {
			return
		}
		t := p.report.Timing
		t.Samples, t.P = len(unknown), ranksum.PValue(unknown, wrong)
		t.Difference = median(wrong) - median(unknown)
		if t.Decided = t.P < timingAlpha/float64(looks); t.Decided {
			than := "longer"
			if t.Difference < 0 {
				than = "shorter"
			}
			p.findings = append(p.findings, *newFinding(RuleTiming, *p.timing, fmt.Sprintf("a wrong password takes %s %s than an unknown user (p = %.2g, %d samples of each)",
				t.Difference.Abs().Round(time.Microsecond), than, t.P, t.Samples)))
			return
		}
		if look >= p.config.Samples {
			return
		}
	}
}

// sample adds samples in alternation, up to n of each kind. It returns false if the target
// throttles or does not answer.
func (p *Prober) sample(ctx context.Context, s sender, c *cell, n int, unknown, wrong *[]time.Duration) bool {
	for len(*unknown) < n {
		first := len(*unknown)%2 == 0 // alternate which kind comes first
		for _, isUnknown := range []bool{first, !first} {
			m, _ := makeWrong(c)
			into := wrong
			if isUnknown {
				m, _ = makeUnknown(c)
				into = unknown
			}
			a, res := p.attempt(ctx, s, c, Probe{Name: "timing", Group: groupCredentials, Outcome: OutcomeFailure}, m)
			if res == nil {
				p.gap(Gap{Endpoint: c.endpoint.String(), Probe: "timing", Why: a.Why})
				return false
			}
			*into = append(*into, res.latency)
		}
	}
	return true
}

// median returns the middle of the samples.
func median(samples []time.Duration) time.Duration {
	s := slices.Sorted(slices.Values(samples))
	return s[len(s)/2]
}
