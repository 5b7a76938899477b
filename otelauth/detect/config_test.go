// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// TestConfigErrors: New returns every error at once, each with what to do.
func TestConfigErrors(t *testing.T) {
	t.Parallel()
	_, err := detect.New(detect.Config{
		Off: []string{"nonsense"}, Entries: -1, Queue: 1 << 30, Rand: broken{},
		Thresholds: detect.Thresholds{SprayAccounts: 1, SlowDays: 15, LearnHours: time.Second, RunBeforeSuccess: 40},
	})
	if err == nil {
		t.Fatal("New accepts a Config full of errors")
	}
	for _, want := range []string{
		`"nonsense", which is not a rule`, "Config.Entries is -1", "Config.Queue", "no randomness", "SprayAccounts is 1; choose 2 to 200, or 0 for 10",
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
