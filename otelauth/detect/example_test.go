// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// Each rule has a name, a severity and a technique of MITRE ATT&CK.
func ExampleRules() {
	for _, r := range detect.Rules() {
		if r.Severity == detect.High {
			fmt.Println(r.Name, r.Technique)
		}
	}
	// Output:
	// brute_force T1110.001
	// password_spray T1110.003
	// credential_stuffing T1110.004
	// same_password T1110.003
	// distributed_guessing T1110.001
	// low_and_slow T1110.001
	// success_after_failures T1110
	// many_accounts T1078
	// distributed_stuffing T1110.004
}

// office locates the addresses of one company.
type office struct{}

func (office) Locate(addr netip.Addr) (latitude, longitude float64, ok bool) {
	return 52.5, 13.4, netip.MustParsePrefix("192.0.2.0/24").Contains(addr)
}

// A service whose users share one address needs higher thresholds. Where a program logs in from
// everywhere, a rule about places is off.
func ExampleConfig() {
	_, err := detect.New(detect.Config{
		Thresholds: detect.Thresholds{SprayAccounts: 50, StuffingNames: 60},
		Off:        []string{"new_network"},
		Locator:    detect.Locator(office{}),
	})
	fmt.Println(err)
	// Output: <nil>
}

// Where users work by day only, a rule that is off by default is useful.
func ExampleConfig_IsOn() {
	for _, cfg := range []detect.Config{{}, {On: []string{detect.UnusualHour}}} {
		for _, r := range detect.Rules() {
			if r.Optional {
				fmt.Println(r.Name, cfg.IsOn(r.Name))
			}
		}
	}
	// Output:
	// unusual_hour false
	// unusual_hour true
}

// What was learned survives a restart in an encrypted file.
func ExampleDetector_Save() {
	dir, err := os.MkdirTemp("", "detect")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	keep := detect.Snapshot{File: filepath.Join(dir, "detect.state"), Key: []byte("a secret of 32 random bytes, kept")}
	now := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	start := func() *detect.Detector {
		d, err := detect.New(detect.Config{Snapshot: keep, Now: func() time.Time { return now }})
		if err != nil {
			panic(err)
		}
		return d
	}

	d := start()
	req := attempt.Request{Time: now, Client: netip.MustParseAddr("192.0.2.7")}
	_ = d.Decide(context.Background(), &req, &attempt.Result{Outcome: attempt.Success, UserName: "alice"})
	d.Drain(now)
	fmt.Println(d.Save())

	now = now.Add(2 * time.Hour)
	again := start()
	again.Drain(now) // knows that alice works from 192.0.2.7
	fmt.Println(again.Save())
	// Output:
	// <nil>
	// <nil>
}

// Run evaluates attempts in the background. The two counters show whether it keeps up.
func ExampleDetector_Run() {
	d, err := detect.New(detect.Config{OnDetection: func(d detect.Detection) {
		if d.Phase == detect.Start {
			fmt.Println(d.Rule.Summary)
		}
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- d.Run(ctx) }()
	// The service serves here.
	stop()
	fmt.Println(<-ended, d.Dropped(), d.Unread())
	// Output: <nil> 0 0
}

// A rule of the operator reports the CI's account outside the CI, and an exception keeps a
// penetration test from alarming until it is over.
func ExampleDetector_Use() {
	start := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	d, err := detect.New(detect.Config{
		Now:         func() time.Time { return start },
		OnDetection: func(d detect.Detection) { fmt.Println(d.Message()) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	err = d.Use(detect.Custom{
		Rules: []detect.CustomRule{{
			Name: "ci_elsewhere", Severity: detect.High, Summary: "the account of the CI is used outside the CI",
			Match:  detect.Match{Accounts: []string{"ci"}, Outcomes: []string{"success"}},
			Except: detect.Match{Networks: []netip.Prefix{netip.MustParsePrefix("198.51.100.16/28")}},
			Count:  detect.CountAttempts, Per: detect.PerNetwork,
		}},
		Exceptions: []detect.Exception{{
			Rule: detect.BruteForce, Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")},
			Until: start.AddDate(0, 1, 0), Why: "penetration test",
		}},
	})
	fmt.Println(len(d.Custom().Rules), err)
	req := attempt.Request{Time: start, Client: netip.MustParseAddr("192.0.2.7"), Route: "/deploy"}
	_ = d.Decide(context.Background(), &req, &attempt.Result{Outcome: attempt.Success, UserName: "ci"})
	d.Drain(start)
	// Output:
	// 1 <nil>
	// ci_elsewhere: the account of the CI is used outside the CI; 1 attempt since 2026-03-02 08:00:00 UTC from 192.0.2.7 for ci; listed attempts were answered 0 times with 401, 0 times with 429, and 1 succeeded.
}
