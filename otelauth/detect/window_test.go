// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// TestWindows: evidence within nine tenths of the stated window makes a rule fire, evidence within
// eleven tenths does not.
func TestWindows(t *testing.T) {
	t.Parallel()
	d := detect.DefaultThresholds(t)
	for _, tc := range []struct {
		rule   string
		n      int
		window time.Duration
		try    func(w *watch, i int)
	}{
		{detect.BruteForce, d.BruteForcePasswords, 24 * time.Hour, func(w *watch, i int) { w.try(try{password: uint64(i + 1)}) }},
		{detect.PasswordSpray, d.SprayAccounts, 72 * time.Hour, func(w *watch, i int) {
			w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1)})
		}},
		{detect.CredentialStuffing, d.StuffingNames, 72 * time.Hour, func(w *watch, i int) {
			w.try(try{name: fmt.Sprint("user", i), unknown: i%4 != 0, password: uint64(i + 1)})
		}},
		{detect.SamePassword, d.SamePasswordAccounts, 72 * time.Hour, func(w *watch, i int) {
			w.try(try{name: fmt.Sprint("user", i), password: 7, from: network(i)})
		}},
		{detect.DistributedGuessing, d.DistributedNetworks, 72 * time.Hour, func(w *watch, i int) {
			w.try(try{password: uint64(i + 1), from: network(i)})
		}},
		{detect.SensitiveOnlyDenied, d.SensitiveDenials, 72 * time.Hour, func(w *watch, i int) {
			w.try(try{name: "root", unknown: true, password: 3, sensitive: true, route: fmt.Sprint("/admin/", i)})
		}},
		{detect.UnusableAccount, d.UnusableTries, 72 * time.Hour, func(w *watch, _ int) {
			w.try(try{password: 3, reason: "account_disabled"})
		}},
	} {
		for _, tenths := range []int{9, 11} {
			t.Run(fmt.Sprint(tc.rule, tenths), func(t *testing.T) {
				t.Parallel()
				for shift := range 12 { // the hour of the day does not matter
					w := newWatch(t)
					w.pass(time.Duration(7*shift) * time.Hour)
					for i := range 2 * tc.n {
						if i < tc.n || tenths == 11 {
							tc.try(w, i)
						}
						w.pass(tc.window / 10 * time.Duration(tenths) / time.Duration(tc.n-1))
					}
					if got := w.starts(tc.rule); (got > 0) != (tenths == 9) {
						t.Errorf("shift %d: %d episodes", shift, got)
					}
				}
			})
		}
	}
}

// TestTyposOfTwoDays: 29 typos in 42 hours are neither 30 in a day nor guesses at a success.
func TestTyposOfTwoDays(t *testing.T) {
	t.Parallel()
	w := newWatch(t, func(cfg *detect.Config) { cfg.Off = []string{detect.LowAndSlow, detect.ScheduledGuessing} })
	w.live(1, "", "")
	for i := range 29 {
		w.try(try{password: uint64(i + 1)})
		w.pass(42 * time.Hour / 28)
		w.try(try{})
	}
	w.none("29 typos in 42 hours")
}

// TestSessionsAreNotDays: four evenings, each past midnight, are not six days.
func TestSessionsAreNotDays(t *testing.T) {
	t.Parallel()
	for start := range 24 {
		w := newWatch(t, func(cfg *detect.Config) { cfg.Off = []string{detect.ScheduledGuessing} })
		w.pass(time.Duration(start) * time.Hour)
		for i := range 4 {
			for try10 := range 5 {
				w.try(try{password: uint64(10*i + try10 + 1), from: network(i)})
				w.pass(time.Hour)
			}
			w.pass(43 * time.Hour)
		}
		w.none("four evenings")
	}
}

// TestSameInputSameDetections: the key of the tables decides nothing.
func TestSameInputSameDetections(t *testing.T) {
	t.Parallel()
	var first []detect.Detection
	for key := range dice(10) {
		w := newWatch(t, func(cfg *detect.Config) { cfg.Rand = key })
		w.live(2, "owner", "")
		for i := range 60 {
			w.try(try{password: uint64(i + 1), from: network(i / 2)})
			w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 100), from: network(200 + i%2)})
			w.try(try{name: fmt.Sprint("leak", i), unknown: i%3 > 0, password: uint64(i + 200), from: network(300)})
			w.try(try{name: fmt.Sprint("leak", i), password: 7, from: network(400 + i)})
			w.pass(7 * time.Minute)
		}
		if key == 0 {
			first = w.found
			continue
		}
		if d := cmp.Diff(first, w.found, cmpopts.IgnoreFields(detect.Detection{}, "Episode", "Takeovers", "DedupeKey"),
			cmpopts.IgnoreFields(detect.Advice{}, "Command"), cmpopts.IgnoreUnexported(detect.Rule{}, detect.Detection{}),
			cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{})); d != "" || len(first) < 8 {
			t.Errorf("key %d, %d detections:\n%s", key, len(first), d)
		}
	}
}
