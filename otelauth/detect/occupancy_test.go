// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/otelauthtest"
	authconv "github.com/otelauth/otelauth-go/otelauth/semconv"
)

// overfull plays eleven days of honest accounts, each with a home, an office of 200 accounts and a
// carrier of 750, at a Detector of the given size. One attempt of six is a wrong password, and
// half of the users who mistype come back later. It returns the number of episodes by rule, and
// fails the test for those of high severity.
func overfull(t *testing.T, entries, accounts int) map[string]int {
	t.Helper()
	var notices []attempt.Notice
	w := newWatch(t, func(cfg *detect.Config) {
		cfg.Entries = entries
		cfg.Notice = func(_ context.Context, n attempt.Notice) { notices = append(notices, n) }
	})
	rng := rand.New(rand.NewPCG(1, 2))
	networks := func(i int) [3]string {
		return [...]string{
			fmt.Sprintf("%d.%d.%d.1", 20+i>>16, i>>8&0xff, i&0xff), fmt.Sprintf("40.%d.%d.1", i/200>>8, i/200&0xff),
			fmt.Sprintf("50.0.%d.1", i%max(accounts/750, 2)),
		}
	}
	step := 24 * time.Hour / time.Duration(2*accounts)
	for range 11 {
		for n := range 2 * accounts {
			w.now = w.now.Add(step)
			i := n % accounts
			from := networks(i)[rng.IntN(3)]
			if rng.IntN(6) == 0 {
				w.try(try{name: fmt.Sprint("user", i), password: rng.Uint64() | 1, from: from})
				if rng.IntN(2) == 0 {
					continue // comes back later
				}
			}
			w.try(try{name: fmt.Sprint("user", i), from: from})
		}
	}
	found := map[string]int{}
	for _, d := range w.found {
		if d.Phase != detect.Start {
			continue
		}
		if found[d.Rule.Name]++; d.Rule.Severity == detect.High {
			t.Errorf("%d accounts: false %s of %v from %v", accounts, d.Rule.Name, d.Accounts, d.Networks)
		}
	}
	if len(notices) == 0 {
		t.Errorf("%d accounts: no notice", accounts)
	}
	return found
}

// TestFullTablesAreSilent: more accounts than the tables hold cause no false detection of high
// severity. The full test has the numbers of accounts for the default size.
func TestFullTablesAreSilent(t *testing.T) {
	t.Parallel()
	t.Logf("%v", overfull(t, 1<<14>>5, 120_000>>5))
}

// TestMemoryNotices: a notice at half, one when state is lost, and metrics of each table.
func TestMemoryNotices(t *testing.T) {
	t.Parallel()
	rec := otelauthtest.NewRecorder(t)
	var notices []attempt.Notice
	w := newWatch(t, reportingTo(rec.LoggerProvider(), rec.MeterProvider()), func(cfg *detect.Config) {
		cfg.Entries = 64
		cfg.Notice = func(_ context.Context, n attempt.Notice) { notices = append(notices, n) }
	})
	add := func(from, to int) {
		for i := from; i < to; i++ {
			w.try(try{name: fmt.Sprint("user", i), from: network(i)})
		}
		w.pass(time.Hour)
	}
	add(0, 40)
	if len(notices) != 0 {
		t.Fatalf("notices with room: %+v", notices)
	}
	add(40, 66)
	if len(notices) != 1 || notices[0].Kind != attempt.DetectionMemory || notices[0].Err != nil ||
		!strings.Contains(notices[0].Message, "habits") || !strings.Contains(notices[0].Message, "--detect-entries) to 128") {
		t.Fatalf("notices at half: %+v", notices)
	}
	add(66, 1200)
	if len(notices) != 2 || notices[1].Err == nil || !strings.Contains(notices[1].Message, "silent: ") {
		t.Fatalf("notices when state is lost: %+v", notices)
	}
	w.pass(100 * 24 * time.Hour)
	w.try(try{})
	w.pass(time.Hour)
	if n := len(notices); n == 0 || notices[n-1].Err != nil {
		t.Errorf("the last notice, with room again: %+v", notices)
	}
	var names []string
	for _, m := range rec.Metrics() {
		names = append(names, m.Name)
	}
	for _, want := range []string{authconv.MetricDetectionEntryCount, authconv.MetricDetectionEntryLimit, authconv.MetricDetectionEntryEvicted} {
		if !slices.Contains(names, want) {
			t.Errorf("no metric %s", want)
		}
	}
}
