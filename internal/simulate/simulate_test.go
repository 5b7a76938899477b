// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/otelauth/otelauth-go/internal/simulate"
	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

func run(t testing.TB, s simulate.Scenario) *simulate.Report {
	t.Helper()
	r, err := simulate.Run(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if r.Dropped != 0 {
		t.Fatalf("%d attempts dropped", r.Dropped)
	}
	return r
}

// TestEveryRuleHasAnAttack: a rule without an attack in kinds is not tested.
func TestEveryRuleHasAnAttack(t *testing.T) {
	t.Parallel()
	for _, r := range detect.Rules() {
		_, err := simulate.Run(t.Context(), simulate.Scenario{Users: 100, Days: 1, Attacks: []simulate.Attack{{Rule: r.Name}}})
		if err != nil {
			t.Errorf("add an attack for %s to kinds: %v", r.Name, err)
		}
	}
}

// optional returns the rules that Scenario.On must have for the attacks.
func optional(attacks []simulate.Attack) (on []string) {
	for _, r := range detect.Rules() {
		if r.Optional && slices.ContainsFunc(attacks, func(a simulate.Attack) bool { return a.Rule == r.Name }) {
			on = append(on, r.Name)
		}
	}
	return on
}

// TestOn: the attack on a rule that is off by default is detected if Scenario.On has the rule.
// Honest users are accused by it only then, and it has a row only if its attack is played.
func TestOn(t *testing.T) {
	t.Parallel()
	s := simulate.Scenario{Seed: 1, Users: attackedUsers, Days: 18, Attacks: []simulate.Attack{{Rule: detect.UnusualHour}}}
	off := run(t, s)
	s.On = optional(s.Attacks)
	on := run(t, s)
	if a := off.Attacks[0]; a.Detected || off.False[detect.UnusualHour] != 0 {
		t.Errorf("by default: detected by %v; false: %v", a.By, off.False)
	}
	if a := on.Attacks[0]; !a.Detected || on.False[detect.UnusualHour] == 0 {
		t.Errorf("on: detected by %v; false: %v", a.By, on.False)
	}
	for _, attack := range simulate.Attacks(1) {
		if attack.Rule == detect.UnusualHour {
			t.Error("Attacks has an attack on a rule that is off by default")
		}
	}
	for _, attacked := range [][]*simulate.Report{nil, {on}} {
		var b strings.Builder
		if err := simulate.WriteTable(&b, off, attacked...); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(b.String(), "\n"+detect.UnusualHour+" "); got != (len(attacked) > 0) {
			t.Errorf("%d runs with attacks, and a row of %s: %t\n%s", len(attacked), detect.UnusualHour, got, b.String())
		}
	}
}

// TestEveryAttackIsDetected by the rule of the attack, at each speed and with each seed. Half of
// the takeovers are named, and at most one name in twenty is that of an owner.
func TestEveryAttackIsDetected(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	for _, seed := range detectedSeeds {
		for _, speed := range speeds {
			t.Run(fmt.Sprint(seed, "/", speed), func(t *testing.T) {
				t.Parallel()
				attacks := 0
				rounds := simulate.Rounds(speed)
				if !everyRound {
					rounds = rounds[:1]
				}
				for _, round := range rounds {
					r := run(t, simulate.Scenario{Seed: seed, Users: attackedUsers, Days: 25, Attacks: round, On: optional(round)})
					for _, a := range r.Attacks {
						attacks++
						// They are silent for victims whose habits are irregular.
						if a.Attack.Rule == detect.UnusualHour || a.Attack.Rule == detect.ImpossibleTravel {
							continue
						}
						// 14 guesses a day in the owner's network are not detected; 140 are.
						if want := a.Attack.Variant != simulate.FromHome || speed > 1; a.Detected != want {
							t.Errorf("%s%s, one attempt every %v: %d attempts, detected by %v", a.Attack.Rule, a.Attack.Variant, a.Attack.Every, a.Tries, a.By)
						}
					}
					// After 30 guesses in the network of an owner, the two cannot be distinguished.
					if len(round) == 1 && round[0].Variant != simulate.FromHome && (2*r.Marked < r.Takeovers || 20*r.Owners > r.Marked+r.Owners) {
						t.Errorf("%v: %d of %d takeovers are marked, and %d owners", round, r.Marked, r.Takeovers, r.Owners)
					}
				}
				// The five variants; the rounds after the first have three attacks of many
				// networks, one in the owner's network, and one on a rule that is off by default.
				want := len(detect.Rules()) + 5
				if !everyRound {
					want -= 5
				}
				if attacks != want {
					t.Errorf("%d attacks, want %d", attacks, want)
				}
			})
		}
	}
}

// TestExpiryMonday: the passwords of all users of a VPN expire on the day on which it moves or the
// process restarts. At most one false episode has high severity.
func TestExpiryMonday(t *testing.T) {
	t.Parallel()
	testkit.OnlyLong(t)
	for _, worlds := range [][]simulate.World{
		{simulate.ExpiryMonday, simulate.Restart}, {simulate.ExpiryMonday, simulate.EgressMove},
		{simulate.ExpiryMonday, simulate.EgressMove, simulate.Restart},
	} {
		r := run(t, simulate.Scenario{Seed: 15, Users: attackedUsers, Days: simulate.EventDay + 2, Worlds: worlds})
		if n := r.FalseOf(detect.High); n > 1 {
			t.Errorf("%v: %d false episodes of high severity: %v", worlds, n, r.FalseDetections)
		}
	}
}

// TestOutage: pods with an old password are an outage, and not an attack.
func TestOutage(t *testing.T) {
	t.Parallel()
	s := simulate.Scenario{Seed: 16, Users: 20, Days: 3}
	base := run(t, s)
	s.Worlds = []simulate.World{simulate.Pods}
	if r := run(t, s); r.Outages != base.Outages+1 || r.FalseOf(detect.High)+r.FalseOf(detect.Medium) != 0 {
		t.Errorf("%d outages are reported, %d of them without the pods; false: %v", r.Outages, base.Outages, r.False)
	}
}

// TestReach: one guess an hour is detected within a day; a thousand networks with one guess a day
// each are detected within three days.
func TestReach(t *testing.T) {
	t.Parallel()
	for _, seed := range reachSeeds {
		r := run(t, simulate.Scenario{Seed: seed, Users: 300, Days: 6, Attacks: []simulate.Attack{
			{Rule: detect.LowAndSlow, Every: time.Hour, Begin: 2},
			{Rule: detect.DistributedGuessing, Every: 24 * time.Hour / 1000, Networks: 1000, Begin: 2},
		}})
		for i, limit := range []time.Duration{24 * time.Hour, 72 * time.Hour} {
			if a := r.Attacks[i]; !a.Detected || a.After > limit {
				t.Errorf("seed %d: %s: detected %v after %v", seed, a.Attack.Rule, a.Detected, a.After)
			}
		}
	}
}

// TestHonest: no honest user is kept out, and at most one false episode has high severity. The
// full test TestHonestPeopleAreNotKeptOut and BenchmarkHonest play 10,000 users.
func TestHonest(t *testing.T) {
	t.Parallel()
	for _, seed := range honestSeeds {
		s := simulate.Scenario{Seed: seed, Users: honestUsers, Days: honestDays, Throttle: simulate.Budgets(throttle.Limits{})}
		r := run(t, s)
		if r.KeptOut != 0 {
			t.Errorf("seed %d: %d users kept out", seed, r.KeptOutUsers)
		}
		if n := r.FalseOf(detect.High); n > 1 {
			t.Errorf("seed %d: %d false episodes of high severity: %v", seed, n, r.FalseDetections)
		}
		if r.Guesses == 0 || r.Attempts < 10*r.Guesses {
			t.Errorf("seed %d: %d of %d attempts are wrong; honest traffic has few", seed, r.Guesses, r.Attempts)
		}
	}
}

// TestReplay: the same seed gives the same run, another seed another one.
func TestReplay(t *testing.T) {
	t.Parallel()
	s := simulate.Scenario{Seed: 10, Users: 100, Days: 2, Attacks: []simulate.Attack{
		{Rule: detect.PasswordSpray, Begin: 1}, {Rule: detect.DistributedGuessing, Begin: 1},
	}}
	a, b := run(t, s), run(t, s)
	if d := cmp.Diff(a, b, cmpopts.EquateComparable(netip.Prefix{}, netip.Addr{}), cmpopts.IgnoreUnexported(detect.Rule{}, detect.Detection{})); d != "" {
		t.Errorf("two runs of one seed differ:\n%s", d)
	}
	s.Seed++
	if c := run(t, s); c.Attempts == a.Attempts && c.Guesses == a.Guesses {
		t.Error("two seeds give the same run")
	}
}

// TestOnAttempt: OnAttempt gets every attempt with its attack, in the order of time.
func TestOnAttempt(t *testing.T) {
	t.Parallel()
	var last time.Time
	all, wrong, hostile := 0, 0, 0
	s := simulate.Scenario{Seed: 13, Users: 100, Days: 2, Attacks: []simulate.Attack{{Rule: detect.BruteForce, Begin: 1}}}
	s.OnAttempt = func(a simulate.Attempt) {
		if a.Time.Before(last) || !a.Client.IsValid() || a.Route == "" {
			t.Errorf("%+v after %v", a, last)
		}
		last = a.Time
		all++
		switch {
		case a.Attack == 0:
			hostile++
			if !a.Known || a.Outcome != attempt.Failure {
				t.Errorf("an attack's attempt is %+v", a)
			}
		case a.Attack != -1:
			t.Errorf("no attack %d", a.Attack)
		case (a.Name == "") != (a.Outcome == attempt.Missing):
			t.Errorf("name %q with outcome %v", a.Name, a.Outcome)
		}
		if a.Outcome == attempt.Failure {
			wrong++
		}
	}
	r := run(t, s)
	if all != r.Attempts || hostile != r.Attacks[0].Tries || hostile == 0 || wrong < hostile {
		t.Errorf("OnAttempt got %d attempts, %d of the attack, %d wrong; the report has %d and %d", all, hostile, wrong, r.Attempts, r.Attacks[0].Tries)
	}
}

// strict refuses every attempt at one account.
type strict struct{ throttle.DangerouslyNone }

func (strict) Spend(_ context.Context, g throttle.Guess) (throttle.Decision, error) {
	if g.Account == "user00007" {
		return throttle.Decision{Verdict: throttle.Refused}, nil
	}
	return throttle.Decision{Verdict: throttle.Granted}, nil
}

// TestThrottle: the report counts right credentials that the Throttle refuses.
func TestThrottle(t *testing.T) {
	t.Parallel()
	s := simulate.Scenario{Seed: 11, Users: 100, Days: 5, Throttle: func(now func() time.Time) (throttle.Throttle, error) {
		if now().IsZero() {
			t.Error("no clock")
		}
		return strict{}, nil
	}}
	if r := run(t, s); r.KeptOutUsers != 1 || r.KeptOut == 0 {
		t.Errorf("%d users kept out, %d times; want 1", r.KeptOutUsers, r.KeptOut)
	}
	s.Throttle = func(func() time.Time) (throttle.Throttle, error) { return nil, errors.New("no budget") }
	if _, err := simulate.Run(t.Context(), s); err == nil {
		t.Error("Run ignores the error of Scenario.Throttle")
	}
}

func TestInvalidScenarios(t *testing.T) {
	t.Parallel()
	for _, s := range []simulate.Scenario{
		{Days: -1}, {Users: -1}, {SharedPercent: 101}, {Users: 200, Attacks: []simulate.Attack{{Rule: "nonsense"}}},
		{Users: 50, Attacks: simulate.Attacks(1)}, {Users: 200, Attacks: []simulate.Attack{{Rule: detect.BruteForce, Speed: -1}}},
		{Users: 200, Attacks: slices.Repeat(simulate.Attacks(1), 7)}, {Users: 200, Attacks: []simulate.Attack{{Variant: "nonsense"}}},
		{Users: 10, Worlds: []simulate.World{"nonsense"}}, {Thresholds: detect.Thresholds{SlowDays: 99}},
	} {
		if _, err := simulate.Run(t.Context(), s); err == nil {
			t.Errorf("Run accepts %+v", s)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := simulate.Run(ctx, simulate.Scenario{Users: 10}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestWriteTable(t *testing.T) {
	t.Parallel()
	honest := run(t, simulate.Scenario{Seed: 12, Users: 100, Days: 2})
	var b strings.Builder
	if err := simulate.WriteTable(&b, honest); err != nil {
		t.Fatal(err)
	}
	for _, r := range detect.Rules() {
		if !r.Optional && !strings.Contains(b.String(), "\n"+r.Name+" ") {
			t.Errorf("no line of %s in\n%s", r.Name, b.String())
		}
	}
}

// BenchmarkHonest plays 10,000 honest users for 30 days, each time with another seed.
func BenchmarkHonest(b *testing.B) {
	high, keptOut, attempts := 0, 0, 0
	for seed := uint64(100); b.Loop(); seed++ {
		r, err := simulate.Run(b.Context(), simulate.Scenario{Seed: seed, Throttle: simulate.Budgets(throttle.Limits{})})
		if err != nil {
			b.Fatal(err)
		}
		high += r.FalseOf(detect.High)
		keptOut += r.KeptOutUsers
		attempts += r.Attempts
	}
	b.ReportMetric(float64(high)/float64(b.N), "false-high/op")
	b.ReportMetric(float64(keptOut)/float64(b.N), "kept-out/op")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(attempts), "ns/attempt")
}

func ExampleRun() {
	report, err := simulate.Run(context.Background(), simulate.Scenario{
		Seed: 1, Users: 100, Days: 3,
		Attacks: []simulate.Attack{{Rule: detect.LowAndSlow, Every: time.Hour, Begin: 1}},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	found := report.Attacks[0]
	fmt.Println(found.Detected, found.After < 24*time.Hour, report.FalseOf(detect.High))
	// Output: true true 0
}
