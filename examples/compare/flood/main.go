// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package flood

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/otelauth/otelauth-go/examples/compare/peers"
)

// Main is the command. Without a subcommand it measures. It starts itself again as "serve" and
// "attack". It returns the exit status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	err := run(args, stdin, stdout, stderr)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	default:
		fmt.Fprintln(stderr, err)
		return 1
	}
}

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "serve":
			return runServe(args[1:], stdin, stdout, stderr)
		case "attack":
			return runAttack(args[1:], stdin, stdout, stderr)
		}
	}
	return runPlan(args, stdout, stderr)
}

func runServe(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("flood serve", flag.ContinueOnError)
	fs.SetOutput(stderr)
	peer := fs.String("peer", "", "which `peer` serves")
	users := fs.String("users", "", "`file` of accounts")
	if err := fs.Parse(args); err != nil {
		return err
	}
	return serve(*peer, *users, stdin, stdout)
}

func runAttack(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("flood attack", flag.ContinueOnError)
	fs.SetOutput(stderr)
	var a Attack
	fs.StringVar(&a.Target, "target", "", "`host:port` of the server")
	fs.IntVar(&a.Conns, "conns", 64, "connections")
	fs.Int64Var(&a.Attempts, "attempts", 0, "end after `N` guesses")
	known := fs.String("known", "", "`names` of accounts")
	cell := fs.String("cell", "closed/1", "kind of the attack")
	if err := fs.Parse(args); err != nil {
		return err
	}
	c, err := ParseCell(*cell)
	if err != nil {
		return err
	}
	a.Known, a.Names = strings.Split(*known, ","), c.Names
	if c.Paced {
		a.Think = Think
	}
	for i := range c.Sources {
		a.Sources = append(a.Sources, sourceAddr(i))
	}
	if err := json.NewEncoder(stdout).Encode(a.untilEOF(stdin)); err != nil {
		return fmt.Errorf("flood: attack: %w", err)
	}
	return nil
}

func runPlan(args []string, stdout, stderr io.Writer) error {
	p := DefaultPlan()
	fs := flag.NewFlagSet("flood", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.DurationVar(&p.Duration, "duration", p.Duration, "duration of each cell")
	fs.DurationVar(&p.Settle, "settle", p.Settle, "duration of each attack before the measurement")
	fs.IntVar(&p.Conns, "conns", p.Conns, "attacking connections")
	fs.IntVar(&p.Cost, "cost", p.Cost, "bcrypt cost of the accounts")
	fs.IntVar(&p.Rounds, "rounds", p.Rounds, "repetitions; the median is shown")
	fs.IntVar(&p.AttackerProcs, "attacker-procs", p.AttackerProcs, "GOMAXPROCS of the attacker")
	fs.Int64Var(&p.Attempts, "attempts", p.Attempts, "end a cell after `N` guesses, if they come first; 0 for no limit")
	fs.Float64Var(&p.RightPerSecond, "right", p.RightPerSecond, "requests a second of the right client")
	fs.Float64Var(&p.FirstPerSecond, "first", p.FirstPerSecond, "first logins a second")
	peerNames := fs.String("peers", names(p.Peers), "comma-separated `servers`")
	cellNames := fs.String("cells", cells(p.Cells), "comma-separated `cells`: idle, or paced/N, closed/N from N addresses, with +first, +unknown, +mixed")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("flood: unexpected argument %q", fs.Arg(0))
	}
	if p.Duration <= 0 || p.Conns < 1 || p.Rounds < 1 || p.RightPerSecond <= 0 || p.FirstPerSecond <= 0 || p.AttackerProcs < 1 {
		return errors.New("flood: durations, counts and rates must be above 0")
	}
	p.Peers, p.Cells = nil, nil
	for name := range strings.SplitSeq(*peerNames, ",") {
		peer, err := peers.ByName(name)
		if err != nil {
			return err
		}
		p.Peers = append(p.Peers, peer)
	}
	for name := range strings.SplitSeq(*cellNames, ",") {
		c, err := ParseCell(name)
		if err != nil {
			return err
		}
		p.Cells = append(p.Cells, c)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	hash, err := p.HashTime()
	if err != nil {
		return err
	}
	all, err := p.Run(ctx, func(o Observation) {
		fmt.Fprintf(stderr, "%-22s %-18s right p99 %s ms, %s\n", o.Cell, o.Peer.Name,
			latencyCell(o.Right.Latencies.Quantile(0.99)), latency{success: o.Right.Success()}.Success())
	})
	if err != nil {
		return err
	}
	return Report(stdout, p, all, hash)
}

func names(ps []peers.Peer) string {
	s := make([]string, len(ps))
	for i, p := range ps {
		s[i] = p.Name
	}
	return strings.Join(s, ",")
}

func cells(cs []Cell) string {
	s := make([]string, len(cs))
	for i, c := range cs {
		s[i] = c.String()
	}
	return strings.Join(s, ",")
}
