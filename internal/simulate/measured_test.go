//go:build full

// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/simulate"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

// seedsOfTables is the number of seeds of the tables of docs/detection.md. SIMULATE_SEEDS overrides
// it.
func seedsOfTables(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("SIMULATE_SEEDS"), "20"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// each runs f for each n below count, on two processors.
func each(count int, f func(n int)) {
	var wg sync.WaitGroup
	next := make(chan int)
	for range 2 {
		wg.Go(func() {
			for n := range next {
				f(n)
			}
		})
	}
	for n := range count {
		next <- n
	}
	close(next)
	wg.Wait()
}

func median[T cmp.Ordered](all []T) T {
	slices.Sort(all)
	return all[len(all)/2]
}

// cell describes the results of one attack at one speed.
func cell(all []simulate.AttackReport) string {
	var tries []int
	var after []time.Duration
	takeovers, marked := 0, 0
	for _, a := range all {
		if a.Detected {
			tries, after = append(tries, a.Attempts), append(after, a.After)
		}
		takeovers, marked = takeovers+a.Takeovers, marked+a.Marked
	}
	text := "not detected"
	if len(tries) > 0 {
		text = fmt.Sprintf("%d, %s", median(tries), short(median(after)))
	}
	if len(tries) > 0 && len(tries) < len(all) {
		text += fmt.Sprintf(" (%d of %d runs)", len(tries), len(all))
	}
	if takeovers > 0 {
		text += fmt.Sprintf("; %d of %d takeovers", marked, takeovers)
	}
	return text
}

func short(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}

// TestTableOfAttacks logs the table of attacks of docs/detection.md. Of an attack on many accounts,
// at each speed, at least half of the takeovers are named, and at most one name in twenty is that
// of an owner.
func TestTableOfAttacks(t *testing.T) {
	type key struct {
		name  string
		speed float64
	}
	var mu sync.Mutex
	found := map[key][]simulate.AttackReport{}
	taken := map[key]takeovers{}
	var names []string
	each(3*seedsOfTables(t), func(n int) {
		speed := speeds[n%3]
		for _, round := range simulate.Rounds(speed) {
			r := run(t, simulate.Scenario{Seed: uint64(n/3 + 1), Users: 300, Days: 24, Attacks: round, On: optional(round)})
			mu.Lock()
			for _, a := range r.Attacks {
				name := cmp.Or(a.Attack.Variant, "`"+a.Attack.Rule+"`")
				if speed == 1 {
					name += ", every " + short(a.Attack.Every)
				}
				k := key{cmp.Or(a.Attack.Variant, a.Attack.Rule), speed}
				if found[k] = append(found[k], a); speed == 1 && len(found[k]) == 1 {
					names = append(names, name)
				}
			}
			played := key{beside, speed}
			if len(round) == 1 {
				played.name = cmp.Or(round[0].Variant, round[0].Rule)
			}
			taken[played] = taken[played].plus(r)
			mu.Unlock()
		}
	})
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		k, _, _ := strings.Cut(strings.Trim(name, "`"), ",")
		k = strings.Trim(k, "`")
		fmt.Fprintf(&b, "| %s |", name)
		for _, speed := range []float64{10, 1, 0.1} {
			fmt.Fprintf(&b, " %s |", cell(found[key{k, speed}]))
		}
		b.WriteString("\n")
	}
	t.Logf("attacks:\n%s", b.String())
	for k, n := range taken {
		t.Logf("takeovers: %s, speed %v: %+v", k.name, k.speed, n)
		if k.name != beside && n.all > 0 && (2*n.named < n.all || 20*n.owners > n.named+n.owners) {
			t.Errorf("%s, speed %v: %+v", k.name, k.speed, n)
		}
	}
}

// takeovers counts the accounts that attacks have entered, those of them that were named, and the
// owners that were named.
type takeovers struct{ all, named, owners int }

func (n takeovers) plus(r *simulate.Report) takeovers {
	return takeovers{n.all + r.Takeovers, n.named + r.Marked, n.owners + r.Owners}
}

// beside stands for the attacks of a run that plays several.
const beside = "attacks beside each other"

// worldsOfTable are the rows of the table of honest traffic of docs/detection.md.
var worldsOfTable = [][]simulate.World{
	{simulate.VPN}, {simulate.EgressMove}, {simulate.Restart}, {simulate.ExpiryMonday},
	{simulate.ExpiryMonday, simulate.Restart}, {simulate.ExpiryMonday, simulate.EgressMove},
	{simulate.ExpiryMonday, simulate.EgressMove, simulate.Restart},
	{simulate.CIFleet}, {simulate.CarrierNAT}, {simulate.Pods}, {simulate.Conference}, {simulate.Travellers},
}

// TestHonestReach: in 600,000 user-days of the base there is no false episode of high severity and
// no right password is refused, and there are at most 5 of medium severity in 10,000 user-days.
func TestHonestReach(t *testing.T) {
	seeds := seedsOfTables(t)
	reports := make([]*simulate.Report, seeds)
	each(seeds, func(n int) {
		reports[n] = run(t, simulate.Scenario{Seed: uint64(n + 1), Users: 1000, Days: 30, Throttle: simulate.Budgets(throttle.Limits{})})
	})
	row, sum := rowOf("base", reports)
	t.Logf("honest:\n%s", row)
	if sum.FalseOf(detect.High) > 0 || sum.KeptOut > 0 || sum.FalseOf(detect.Medium)*10_000 > 5*sum.UserDays {
		t.Errorf("%d high, %d medium, %d refused in %d user-days: %v", sum.FalseOf(detect.High), sum.FalseOf(detect.Medium), sum.KeptOut,
			sum.UserDays, sum.FalseDetections)
	}
}

// rowOf returns a row of the table of honest traffic, and the sum of the reports.
func rowOf(name string, reports []*simulate.Report) (row string, sum simulate.Report) {
	sum.False = map[string]int{}
	for _, r := range reports {
		sum.UserDays += r.UserDays
		sum.KeptOut += r.KeptOut
		sum.Outages += r.Outages
		sum.FalseDetections = append(sum.FalseDetections, r.FalseDetections...)
		for rule, n := range r.False {
			sum.False[rule] += n
		}
	}
	per := func(s detect.Severity) float64 { return float64(sum.FalseOf(s)) * 1e4 / float64(sum.UserDays) }
	return fmt.Sprintf("| %s | %d | %.1f | %.0f | %d | %d | %d user-days %v\n", name, sum.FalseOf(detect.High), per(detect.Medium), per(detect.Low),
		sum.Outages, sum.KeptOut, sum.UserDays, sum.False), sum
}

// TestTableOfHonestTraffic logs the table of honest traffic of docs/detection.md. In no world are
// there more than 5 false episodes of medium severity in 10,000 user-days.
func TestTableOfHonestTraffic(t *testing.T) {
	seeds := (seedsOfTables(t) + 3) / 4
	reports := make([][]*simulate.Report, len(worldsOfTable))
	for i := range reports {
		reports[i] = make([]*simulate.Report, seeds)
	}
	each(seeds*len(worldsOfTable), func(n int) {
		reports[n/seeds][n%seeds] = run(t, simulate.Scenario{
			Seed: uint64(n%seeds + 1), Users: 1000, Days: 25, Worlds: worldsOfTable[n/seeds], Throttle: simulate.Budgets(throttle.Limits{}),
		})
	})
	var b strings.Builder
	for i, world := range worldsOfTable {
		var name []string
		for _, w := range world {
			name = append(name, string(w))
		}
		row, sum := rowOf(strings.Join(name, ", "), reports[i])
		b.WriteString(row)
		// A company moves once, and a conference takes place once.
		if high := sum.FalseOf(detect.High); high > seeds {
			t.Errorf("%v: %d episodes of high severity in %d runs: %v", name, high, seeds, sum.FalseDetections)
		}
		if medium := sum.FalseOf(detect.Medium); medium*10_000 > 5*sum.UserDays {
			t.Errorf("%v: %d episodes of medium severity in %d user-days: %v", name, medium, sum.UserDays, sum.False)
		}
	}
	t.Logf("honest:\n%s", b.String())
}

// TestTableOfThresholds logs how many honest users a lower Thresholds.BruteForcePasswords accuses.
func TestTableOfThresholds(t *testing.T) {
	seeds := (seedsOfTables(t) + 3) / 4
	limits := []int{30, 20, 14, 10, 7, 5}
	var mu sync.Mutex
	accused, days := map[int]int{}, map[int]int{}
	each(len(limits)*seeds, func(n int) {
		limit := limits[n%len(limits)]
		r := run(t, simulate.Scenario{
			Seed: uint64(n/len(limits) + 1), Users: 1000, Days: 30,
			Thresholds: detect.Thresholds{BruteForcePasswords: limit, RunBeforeSuccess: min(limit, 20)},
		})
		mu.Lock()
		defer mu.Unlock()
		accused[limit] += r.False[detect.BruteForce]
		days[limit] += r.UserDays
	})
	for _, limit := range limits {
		t.Logf("| %d | %.2f | %d in %d user-days", limit, float64(accused[limit])*1e4/float64(days[limit]), accused[limit], days[limit])
	}
}
