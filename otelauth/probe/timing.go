// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"
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
		t.Samples, t.P = len(unknown), mannWhitney(unknown, wrong)
		t.Difference = median(wrong) - median(unknown)
		if t.Decided = t.P < timingAlpha/float64(looks); t.Decided {
			p.findings = append(p.findings, *newFinding(RuleTiming, *p.timing, fmt.Sprintf(
				"a wrong password takes %s longer than an unknown user (p = %.2g, %d samples of each)", t.Difference.Round(time.Microsecond), t.P, t.Samples)))
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

// mannWhitney returns the two-sided p-value of the test of Mann and Whitney, by its normal
// approximation with the correction for ties.
func mannWhitney(a, b []time.Duration) float64 {
	type ranked struct {
		d     time.Duration
		first bool
	}
	all := make([]ranked, 0, len(a)+len(b))
	for _, d := range a {
		all = append(all, ranked{d, true})
	}
	for _, d := range b {
		all = append(all, ranked{d, false})
	}
	slices.SortFunc(all, func(x, y ranked) int { return cmp.Compare(x.d, y.d) })
	var rankSum, ties float64
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].d == all[i].d {
			j++
		}
		tied := float64(j - i)
		ties += tied*tied*tied - tied
		for rank := float64(i+j+1) / 2; i < j; i++ { // ranks begin with 1
			if all[i].first {
				rankSum += rank
			}
		}
	}
	n, m := float64(len(a)), float64(len(b))
	u := rankSum - n*(n+1)/2
	total := n + m
	variance := n * m / 12 * (total + 1 - ties/(total*(total-1)))
	if variance <= 0 {
		return 1
	}
	z := (math.Abs(u-n*m/2) - 0.5) / math.Sqrt(variance)
	return math.Erfc(max(0, z) / math.Sqrt2)
}
