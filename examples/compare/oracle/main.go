// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package oracle

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/otelauth/otelauth-go/examples/compare/measure"
	"github.com/otelauth/otelauth-go/examples/compare/peers"
)

// bound is the largest accepted difference of the quantiles.
const bound = 0.05

// Main is the command. It returns the exit status.
func Main(args []string, stdout, stderr io.Writer) int {
	err := run(args, stdout, stderr)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(stderr, err)
	return 1
}

func run(args []string, stdout, stderr io.Writer) error {
	scenarios, err := parseScenarios(args, stderr)
	if err != nil {
		return err
	}
	estimate, err := estimate(scenarios)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "oracle: %d scenarios, about %s of hashing\n", len(scenarios), estimate.Round(time.Second))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var results []Result
	for _, sc := range scenarios {
		r, err := Probe(ctx, sc)
		if err != nil {
			return fmt.Errorf("oracle: %s, cost %s: %w", sc.Peer.Name, sc, err)
		}
		for _, c := range r.Comparisons {
			fmt.Fprintf(stderr, "%-18s cost %-12s %-52s %s\n", sc.Peer.Name, sc, c.What, percent(c.Worst()))
		}
		results = append(results, r)
	}
	return Report(stdout, results)
}

// parseScenarios reads the flags.
func parseScenarios(args []string, stderr io.Writer) ([]Scenario, error) {
	fs := flag.NewFlagSet("oracle", flag.ContinueOnError)
	fs.SetOutput(stderr)
	n := fs.Int("n", 1000, "number of known and of unknown names, for otelauth")
	peerN := fs.Int("peer-n", 20, "number of known and of unknown names, for each other peer: one of them takes a second for an unknown name")
	peerNames := fs.String("peers", "otelauth,caddy,exporter-toolkit", "comma-separated `servers`")
	costList := fs.String("costs", "8,9,10,11,12", "bcrypt `costs`")
	mixed := fs.Bool("mixed", true, "also measure a store with all of the costs, if their number is odd, so that no quantile is between two costs")
	seed := fs.Uint64("seed", 1, "seed of names and hashes")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if fs.NArg() > 0 {
		return nil, fmt.Errorf("oracle: unexpected argument %q", fs.Arg(0))
	}
	if *n < 1 || *peerN < 1 {
		return nil, errors.New("oracle: -n and -peer-n must be above 0")
	}
	var stores [][]int
	var costs []int
	for s := range strings.SplitSeq(*costList, ",") {
		cost, err := strconv.Atoi(s)
		if err != nil || cost < bcrypt.MinCost || cost > 14 {
			return nil, fmt.Errorf("oracle: cost %q is not a bcrypt cost from %d to 14", s, bcrypt.MinCost)
		}
		costs = append(costs, cost)
		stores = append(stores, []int{cost})
	}
	if *mixed && len(costs) > 1 && len(costs)%2 == 1 {
		stores = append(stores, costs)
	}
	var scenarios []Scenario
	for name := range strings.SplitSeq(*peerNames, ",") {
		p, err := peers.ByName(name)
		if err != nil {
			return nil, err
		}
		names := *peerN
		if name == "otelauth" {
			names = *n
		}
		for _, store := range stores {
			for _, concurrent := range []bool{false, true} {
				scenarios = append(scenarios, Scenario{Peer: p, Costs: store, Names: names, Concurrent: concurrent, Seed: *seed})
			}
		}
	}
	return scenarios, nil
}

// estimate returns how long the scenarios will hash, if unknown names cost every peer as much as
// known ones.
func estimate(scenarios []Scenario) (time.Duration, error) {
	hash, err := bcrypt.GenerateFromPassword(nil, 8)
	if err != nil {
		return 0, fmt.Errorf("oracle: %w", err)
	}
	begin := time.Now()
	_ = bcrypt.CompareHashAndPassword(hash, []byte("guess"))
	unit := time.Since(begin)
	var total time.Duration
	for _, sc := range scenarios {
		for _, cost := range sc.Costs {
			names := sc.Names * 2 / len(sc.Costs)
			if sc.Concurrent {
				names += names / 2
			}
			total += time.Duration(float64(names) * float64(unit) * math.Pow(2, float64(cost-8)))
		}
	}
	return total, nil
}

// Report writes one table: each quantile of the known names, of the unknown ones, and the
// difference.
func Report(w io.Writer, results []Result) error {
	t := measure.Table{Header: []string{
		"verifier, stored cost", "names", "what", "5 %", "25 %", "50 %", "75 %", "95 %", "worst", "≤ 5 %", "answers known / unknown",
	}}
	for _, r := range results {
		for _, c := range r.Comparisons {
			row := []string{
				fmt.Sprintf("%s, %s", r.Scenario.Peer.Name, r.Scenario),
				fmt.Sprintf("%d + %d", r.Scenario.Names, r.Scenario.Names), c.What,
			}
			for _, q := range quantiles {
				k, u := c.Known.Quantile(q), c.Unknown.Quantile(q)
				row = append(row, fmt.Sprintf("%s → %s (%s)", duration(k), duration(u), percent(measure.RelativeDifference(k, u))))
			}
			kept := "**no**"
			if worst := c.Worst(); max(worst, -worst) <= bound {
				kept = "yes"
			}
			if c.Wall {
				kept = "" // the bound is for CPU
			}
			answers := statuses(r.Known) + " / " + statuses(r.Unknown)
			t.Add(append(row, percent(c.Worst()), kept, answers)...)
		}
	}
	if _, err := fmt.Fprint(w, "Known → unknown names, wrong passwords.\n\n"); err != nil {
		return fmt.Errorf("oracle: report: %w", err)
	}
	if _, err := t.WriteTo(w); err != nil {
		return fmt.Errorf("oracle: report: %w", err)
	}
	return nil
}

func duration(seconds float64) string {
	switch {
	case math.IsNaN(seconds):
		return "–"
	case seconds < 1e-3:
		return fmt.Sprintf("%.2f µs", seconds*1e6)
	default:
		return fmt.Sprintf("%.2f ms", seconds*1e3)
	}
}

func percent(share float64) string {
	if math.IsNaN(share) {
		return "–"
	}
	if share >= 1 {
		return fmt.Sprintf("%.1f ×", share+1)
	}
	return fmt.Sprintf("%+.1f %%", share*100)
}
