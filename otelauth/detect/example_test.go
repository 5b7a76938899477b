// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"context"
	"fmt"
	"net/netip"

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
