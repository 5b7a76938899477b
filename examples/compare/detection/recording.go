// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/otelauth/otelauth-go/internal/simulate"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// recording is the traffic that all programs get.
type recording struct {
	attempts []simulate.Attempt
	attacks  []simulate.Attack
	format   *format
}

// record plays the scenario without a throttle and keeps every attempt.
func record(ctx context.Context, s simulate.Scenario, f *format) (*recording, error) {
	r := &recording{format: f}
	s.OnAttempt = func(a simulate.Attempt) { r.attempts = append(r.attempts, a) }
	report, err := simulate.Run(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, a := range report.Attacks {
		r.attacks = append(r.attacks, a.Attack)
	}
	return r, nil
}

// ours plays the scenario to otelauth with its default budgets and rules.
func ours(ctx context.Context, s simulate.Scenario) (*simulate.Report, findings, error) {
	f := findings{refused: map[int]bool{}}
	i := 0
	s.OnAttempt = func(a simulate.Attempt) {
		if a.Outcome == attempt.Throttled {
			f.refused[i] = true
		}
		i++
	}
	s.Throttle = func(now func() time.Time) (throttle.Throttle, error) {
		start := now()
		return throttle.New(throttle.Config{
			Elapsed: func() time.Duration { return now().Sub(start) }, Now: now, Key: []byte("the same key in each of the runs"),
		})
	}
	report, err := simulate.Run(ctx, s)
	return report, f, err
}

// agent is the User-Agent of every attempt; it is not part of the comparison.
const agent = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"

// played is an attempt as a driver reads it.
type played struct {
	Index int     `json:"i"`
	Time  float64 `json:"t"` // Unix seconds
	IP    string  `json:"ip"`
	Name  string  `json:"name"`
	Right bool    `json:"right"`
	Path  string  `json:"path"`
	Agent string  `json:"agent"`
	Error string  `json:"error"` // the lines of the log; "" if there are none
}

// writeAttempts writes the recording for the drivers, one JSON object a line.
func (r *recording) writeAttempts(path string) error {
	return writeFile(path, func(w *bufio.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for i, a := range r.attempts {
			err := enc.Encode(played{
				Index: i, Time: float64(a.Time.UnixMilli()) / 1000, IP: a.Client.String(), Name: a.Name, Right: a.Outcome == attempt.Success,
				Path: pathOf(a.Route), Agent: agent, Error: r.format.line(&a, i),
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// writeErrorLog writes the log that fail2ban and CrowdSec read, of the addresses in of; nil means
// all addresses.
func (r *recording) writeErrorLog(path string, of map[netip.Addr]bool) error {
	return writeFile(path, func(w *bufio.Writer) error {
		for i := range r.attempts {
			if line := r.format.line(&r.attempts[i], i); line != "" && (of == nil || of[r.attempts[i].Client]) {
				fmt.Fprintln(w, line)
			}
		}
		return nil
	})
}

// bursts returns the addresses that fail n times within d at least once.
func (r *recording) bursts(n int, d time.Duration) map[netip.Addr]bool {
	last := map[netip.Addr][]time.Time{}
	found := map[netip.Addr]bool{}
	for _, a := range r.attempts {
		if a.Outcome != attempt.Failure || found[a.Client] {
			continue
		}
		last[a.Client] = append(last[a.Client], a.Time)
		times := last[a.Client][max(0, len(last[a.Client])-n):]
		if last[a.Client] = times; len(times) == n && a.Time.Sub(times[0]) <= d {
			found[a.Client] = true
		}
	}
	return found
}

// hostile maps the addresses that attacks came from to the first attack that did.
func (r *recording) hostile() map[netip.Addr]int {
	m := map[netip.Addr]int{}
	for _, a := range r.attempts {
		if _, ok := m[a.Client]; a.Attack >= 0 && !ok {
			m[a.Client] = a.Attack
		}
	}
	return m
}

func writeFile(path string, fill func(*bufio.Writer) error) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err := fill(w); err != nil {
		_ = f.Close()
		return err
	}
	if err := w.Flush(); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
