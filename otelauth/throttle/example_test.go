// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle_test

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

func ExampleNew() {
	th, err := throttle.New(throttle.Config{
		Limits: throttle.Limits{NewPair: throttle.Limit{Burst: 2, Every: time.Minute}},
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for i := range 3 {
		g := throttle.Guess{Account: "alice", Network: netip.MustParsePrefix("192.0.2.7/32"), Fingerprint: [16]byte{byte(i)}}
		d, err := th.Spend(ctx, g)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(d.Verdict == throttle.Granted, d.RetryAfter.Round(time.Minute))
		if d.Verdict == throttle.Granted {
			th.Settle(ctx, g, throttle.Wrong)
		}
	}
	// Output:
	// true 0s
	// true 0s
	// false 1m0s
}

// ExampleBudgets configures a verifier with budgets; otelauth.Config has the same field.
func ExampleBudgets() {
	th, err := throttle.New(throttle.Config{})
	if err != nil {
		log.Fatal(err)
	}
	engine, err := verify.New(verify.Config{
		Accounts: &verify.Static{Hashes: map[string]string{"alice": "$2a$04$zVHmKQtGGQob.b/Nc7l9NO8UlrYcW05FiuCj/SxsFO/ZtiN9.mNzy"}},
		Throttle: th,
	})
	fmt.Println(engine != nil, err)
	// Output: true <nil>
}

// ExampleNewMemory keeps known pairs and debts over a restart, in a file that contains no names.
func ExampleNewMemory() {
	dir, err := os.MkdirTemp("", "throttle")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	key := []byte("from your secret store, 32 bytes at least")
	store, err := throttle.NewMemory(throttle.MemoryConfig{SnapshotFile: filepath.Join(dir, "budgets"), SnapshotKey: key})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	th, err := throttle.New(throttle.Config{Store: store, Key: key})
	fmt.Println(th.Len(), err)
	err = store.Save() // Close and a timer call it, too
	fmt.Println(err)
	// Output:
	// 0 <nil>
	// <nil>
}

// ExampleBudgets_Explain lists what is refused, explains why and clears it. Each act is an event.
func ExampleBudgets_Explain() {
	th, err := throttle.New(throttle.Config{
		Limits: throttle.Limits{NewPair: throttle.Limit{Burst: 1, Every: time.Minute}},
		Notice: func(_ context.Context, n attempt.Notice) {
			fmt.Printf("%s: %s, by %s: %s\n", n.Kind, n.Message, n.Actor, n.Why)
		},
		Elapsed: func() time.Duration { return 0 },
		Now:     func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) },
		// Identify returns the identifier of an account in lists and events: the service's
		// user.hash.
		Identify: func(canonical string) string { return "k1:0a1b2c" },
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	office := netip.MustParsePrefix("192.0.2.7/32")
	for i := range 3 {
		g := throttle.Guess{Account: "alice", Network: office, Fingerprint: [16]byte{byte(i)}}
		if d, err := th.Spend(ctx, g); err == nil && d.Verdict == throttle.Granted {
			th.Settle(ctx, g, throttle.Wrong)
		}
	}
	for _, c := range th.List() {
		fmt.Println(c.Budget, c.Network, c.Account, c.Refused)
	}
	who := throttle.Subject{Account: "alice", Network: office}
	fmt.Println(th.Explain(ctx, who))
	if err := th.Clear(ctx, who, throttle.Act{By: "carol@ops", Why: "ticket 7"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(th.Explain(ctx, who))
	// Output:
	// pair 192.0.2.7/32 k1:0a1b2c 2
	// refused by the pair budget (1, then 1 each 1m0s) until 2026-01-01T00:01:00Z <nil>
	// auth.throttle.changed: throttle: account k1:0a1b2c from network 192.0.2.7/32 is cleared, by carol@ops: ticket 7
	// not refused <nil>
}

// ExampleBudgets_Deny allows a network that tests the service for an hour, and denies an account
// whose password was stolen.
func ExampleBudgets_Deny() {
	th, err := throttle.New(throttle.Config{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	testers := throttle.Subject{Network: netip.MustParsePrefix("198.51.100.0/24")}
	err = th.Allow(ctx, testers, throttle.Act{By: "carol@ops", Why: "penetration test", For: time.Hour})
	fmt.Println(err)
	err = th.Deny(ctx, throttle.Subject{Account: "alice"}, throttle.Act{By: "carol@ops", Why: "password stolen"})
	fmt.Println(err, th.Exhausted(throttle.Guess{Account: "alice"}))
	for _, r := range th.Rules() {
		fmt.Println(r.Denied, r.Why)
	}
	err = th.Revoke(ctx, testers, throttle.Act{By: "carol@ops", Why: "the test has ended"})
	fmt.Println(err, len(th.Rules()))
	// Output:
	// <nil>
	// <nil> true
	// true password stolen
	// false penetration test
	// <nil> 1
}

// ExampleBudgets_Arrive limits requests without usable credentials, which otherwise cost nothing.
func ExampleBudgets_Arrive() {
	th, err := throttle.New(throttle.Config{
		Limits: throttle.Limits{Requests: throttle.Limit{Burst: 1, Every: time.Minute}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		d, err := th.Arrive(context.Background(), netip.MustParsePrefix("192.0.2.7/32"))
		fmt.Println(d.Verdict == throttle.Granted, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

// DefaultLimits are the budgets of the zero Config. A service whose users mistype often raises one
// of them.
func ExampleDefaultLimits() {
	limits := throttle.DefaultLimits()
	fmt.Println(limits.NewPair, "|", limits.Account)
	limits.NewPair.Burst = 20
	_, err := throttle.New(throttle.Config{Limits: limits})
	fmt.Println(err)
	// Output:
	// 10, then 1 each 1m0s | 50, then 1 each 1m0s
	// <nil>
}

// A program that explains a refusal shows the state of each budget.
func ExampleExplanation() {
	budgets, err := throttle.New(throttle.Config{Elapsed: func() time.Duration { return 0 }})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	guess := throttle.Guess{Account: "alice", Network: netip.MustParsePrefix("192.0.2.7/32")}
	if _, err := budgets.Spend(ctx, guess); err != nil {
		log.Fatal(err)
	}
	budgets.Settle(ctx, guess, throttle.Wrong)
	state, err := budgets.Explain(ctx, throttle.Subject{Account: "alice", Network: guess.Network})
	if err != nil {
		log.Fatal(err)
	}
	show := func(s throttle.Standing) { fmt.Println(s.Budget, s.Left, s.Limit.Burst) }
	for _, s := range state.Budgets[:3] {
		show(s)
	}
	fmt.Println(state.Refused, state.Refuses == throttle.Budget(0))
	// Output:
	// pair 9 10
	// account 49 50
	// network 299 300
	// false true
}

// Behind another limiter, the budgets can be switched off.
func ExampleDangerouslyNone() {
	var limiter throttle.Throttle = throttle.DangerouslyNone{}
	_, counts := limiter.(throttle.Arrivals)
	d, err := limiter.Spend(context.Background(), throttle.Guess{Account: "alice"})
	fmt.Println(d.Verdict == throttle.Granted, counts, err)
	// Output: true false <nil>
}
