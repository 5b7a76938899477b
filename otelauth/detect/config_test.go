// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
)

// TestConfigErrors: New returns every error at once, each with what to do.
func TestConfigErrors(t *testing.T) {
	t.Parallel()
	_, err := detect.New(detect.Config{
		On: []string{"absurd", detect.UnusualHour}, Off: []string{"nonsense", detect.UnusualHour}, Entries: -1, Queue: 1 << 30, Rand: broken{},
		Thresholds: detect.Thresholds{SprayAccounts: 1, SlowDays: 15, LearnHours: time.Second, RunBeforeSuccess: 40},
	})
	if err == nil {
		t.Fatal("New accepts a Config full of errors")
	}
	for _, want := range []string{
		`Config.On has "absurd", which is not a rule`, `Config.Off has "nonsense", which is not a rule`,
		`Config.On has "unusual_hour", and so has Config.Off; remove it from one of them`,
		"Config.Entries is -1", "Config.Queue", "no randomness", "SprayAccounts is 1; choose 2 to 200, or 0 for 10",
		"SlowDays is 15", "LearnHours is 1s", "RunBeforeSuccess is 40 but Thresholds.BruteForcePasswords is 30",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	for line := range strings.Lines(err.Error()) {
		if !strings.HasPrefix(line, "detect: ") {
			t.Errorf("a line does not begin with the package name: %q", line)
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("no entropy") }

// TestOff: a rule that is off does not fire; the others do.
func TestOff(t *testing.T) {
	t.Parallel()
	w := newWatch(t, func(cfg *detect.Config) { cfg.Off = []string{detect.BruteForce} })
	for i := range 200 {
		w.try(try{password: uint64(i + 1)})
		w.pass(15 * time.Minute)
	}
	if w.starts(detect.BruteForce) != 0 || w.starts(detect.LowAndSlow) == 0 {
		t.Errorf("%d and %d episodes", w.starts(detect.BruteForce), w.starts(detect.LowAndSlow))
	}
	if !slices.ContainsFunc(detect.Rules(), func(r detect.Rule) bool { return r.Name == detect.BruteForce }) {
		t.Error("Rules does not return a rule that is off")
	}
}

// TestOn: a rule that is off by default fires only if Config.On has it. The name of a rule that is
// on anyway has no effect. auth.detections begins at 0 for the rules that are on, and IsOn says
// which these are.
func TestOn(t *testing.T) {
	t.Parallel()
	for _, on := range [][]string{nil, {detect.UnusualHour}, {detect.UnusualHour, detect.BruteForce}} {
		rec := otelauthtest.NewRecorder(t)
		var cfg detect.Config
		w := newWatch(t, reportingTo(rec.LoggerProvider(), rec.MeterProvider()), func(c *detect.Config) {
			c.On = on
			cfg = *c
		})
		series := detectionSeries(rec)
		for _, r := range detect.Rules() {
			want := r.Name != detect.UnusualHour || on != nil
			if series[r.Name] != want || cfg.IsOn(r.Name) != want {
				t.Errorf("On %q: %s has a series: %t, is on: %t; want %t", on, r.Name, series[r.Name], cfg.IsOn(r.Name), want)
			}
			if r.Optional != (r.Name == detect.UnusualHour) {
				t.Errorf("%s: Optional is %t", r.Name, r.Optional)
			}
		}
		w.live(15, "", "")
		w.pass(18 * time.Hour)
		w.try(try{})
		if on == nil {
			w.none("two in the morning, by default")
		} else if w.starts(detect.UnusualHour) != 1 || w.starts("") != 1 {
			t.Errorf("On %q: %d episodes", on, w.starts(detect.UnusualHour))
		}
	}
	off := detect.Config{On: []string{detect.UnusualHour}, Off: []string{detect.BruteForce}}
	if off.IsOn(detect.BruteForce) || off.IsOn("nonsense") || !off.IsOn(detect.NewNetwork) {
		t.Error("a rule in Off or a name of no rule is on, or another rule is off")
	}
}

// detectionSeries returns the rules for which auth.detections has a series.
func detectionSeries(rec *otelauthtest.Recorder) map[string]bool {
	names := map[string]bool{}
	for _, m := range rec.Metrics() {
		if m.Name == authconv.MetricDetections {
			names[m.Attributes.Text("security_rule.name")] = true
		}
	}
	return names
}

// TestLearnsWhileOff: the usual hours are learned while unusual_hour is off, so it fires at once
// after the restart that turns it on.
func TestLearnsWhileOff(t *testing.T) {
	t.Parallel()
	for _, with := range []bool{true, false} {
		var notices []attempt.Notice
		file := filepath.Join(t.TempDir(), "evidence")
		w := newWatch(t, kept(file, &notices))
		w.live(15, "", "")
		if with {
			w = w.restart(kept(file, &notices), turnedOn)
		} else {
			w = newWatch(t, turnedOn)
			w.now = monday.Add(15 * 24 * time.Hour)
		}
		w.pass(18 * time.Hour)
		w.try(try{})
		if got := w.starts(detect.UnusualHour) == 1; got != with {
			t.Errorf("with a file: %t; unusual_hour: %t", with, got)
		}
		if len(notices) != 0 {
			t.Errorf("notices %v", notices)
		}
	}
}

// TestLearnsWhileOffInAFeed: the same for processes with a feed, which all restart.
func TestLearnsWhileOffInAFeed(t *testing.T) {
	t.Parallel()
	h, _, fleet := newFleet(t, 2)
	for range 15 {
		fleet[0].live(1, "", "")
		pass(fleet[:1], 0)
	}
	fleet[0].save()
	h.trim()
	at := fleet[0].now
	feed, w := h.join(t, 3, turnedOn)
	h.leader, h.now = feed, func() time.Time { return w.now }
	w.now = at
	w.pass(18 * time.Hour)
	w.try(try{})
	if w.starts(detect.UnusualHour) != 1 {
		t.Errorf("%d episodes of unusual_hour, want 1", w.starts(detect.UnusualHour))
	}
	if h.problem != nil {
		t.Error(h.problem)
	}
}

// turnedOn turns unusual_hour on.
func turnedOn(cfg *detect.Config) { cfg.On = append(cfg.On, detect.UnusualHour) }
