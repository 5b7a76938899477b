// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command simulate plays weeks of honest and hostile traffic to package detect on a virtual
// clock, and prints the detections.
//
//	go run ./examples/simulate -seed 1
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/otelauth/otelauth-go/internal/simulate"
	"github.com/otelauth/otelauth-go/otelauth/throttle"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has run
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("simulate", flag.ContinueOnError)
	seed := flags.Uint64("seed", 1, "seed of the run; the same seed gives the same run")
	users := flags.Int("users", simulate.DefaultUsers, "number of honest users")
	days := flags.Int("days", simulate.DefaultDays, "number of days")
	honestOnly := flags.Bool("honest", false, "play no attacks")
	budgets := flags.Bool("throttle", true, "apply the default budgets; false: no guess is refused")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s := simulate.Scenario{Seed: *seed, Users: *users, Days: *days}
	if *budgets {
		s.Throttle = simulate.Budgets(throttle.Limits{})
	}
	honest, err := simulate.Run(ctx, s)
	if err != nil {
		return err
	}
	var attacked []*simulate.Report
	if !*honestOnly {
		for _, speed := range []float64{10, 1, 0.1} {
			s.Attacks = simulate.Attacks(speed)
			r, err := simulate.Run(ctx, s)
			if err != nil {
				return err
			}
			attacked = append(attacked, r)
		}
	}
	return simulate.WriteTable(out, honest, attacked...)
}
