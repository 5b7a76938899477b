// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command bench runs the benchmarks of this module for a comparison. Each runs in a fresh process,
// because benchmarks that share a process disturb each other through the garbage collector by up
// to 1.7 ×. They alternate (A B A B), because the speed of a machine drifts. It prints medians and
// their ratios as Markdown.
//
// The benchmarks themselves are ordinary: go test -bench . runs them too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/otelauth/otelauth-go/examples/compare/measure"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	count := fs.Int("count", 7, "fresh processes for each benchmark; the median is shown")
	benchtime := fs.String("benchtime", "1s", "`time` or number of iterations (100x) of each, as for go test -benchtime")
	pick := fs.String("groups", "", "`regexp` of the tables to run; all by default")
	procs := fs.String("cpu", "", "GOMAXPROCS of each process; default: the machine's")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("bench: unexpected argument %q", fs.Arg(0))
	}
	if *count < 1 {
		return errors.New("bench: -count must be above 0")
	}
	picked, err := regexp.Compile(*pick)
	if err != nil {
		return fmt.Errorf("bench: -groups: %w", err)
	}
	chosen := slices.DeleteFunc(groups(), func(g group) bool { return !picked.MatchString(g.title) })
	if len(chosen) == 0 {
		return fmt.Errorf("bench: no table matches %q", *pick)
	}

	dir, err := os.MkdirTemp("", "compare-bench-")
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "compare.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "github.com/otelauth/otelauth-go/examples/compare")
	build.Stdout, build.Stderr = stderr, stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("bench: building the benchmarks (run this inside examples/compare): %w", err)
	}

	flags := []string{"-test.benchtime=" + *benchtime}
	if *procs != "" {
		flags = append(flags, "-test.cpu="+*procs)
	}
	for _, g := range chosen {
		rows := make(map[string][]sample)
		for round := range *count {
			for _, name := range g.benchmarks {
				s, err := once(ctx, binary, name, flags)
				if err != nil {
					return err
				}
				rows[name] = append(rows[name], s)
				fmt.Fprintf(stderr, "%d/%d %-44s %10.0f cpu-ns/op\n", round+1, *count, name, s["cpu-ns/op"])
			}
		}
		if err := g.report(stdout, rows); err != nil {
			return err
		}
	}
	return nil
}

// once runs one benchmark in a process of its own.
func once(ctx context.Context, binary, name string, flags []string) (sample, error) {
	args := append([]string{"-test.run=^$", "-test.count=1", "-test.bench=" + pattern(name)}, flags...)
	cmd := exec.CommandContext(ctx, binary, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %w\n%s", name, err, out)
	}
	s, err := parse(name, string(out))
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	return s, nil
}

// pattern matches only the benchmark with that name.
func pattern(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = "^" + regexp.QuoteMeta(p) + "$"
	}
	return strings.Join(parts, "/")
}

// report writes the group's table.
func (g group) report(w io.Writer, rows map[string][]sample) error {
	median := func(name, unit string) float64 {
		var s measure.Samples
		for _, r := range rows[name] {
			if v, ok := r[unit]; ok {
				s = append(s, v)
			}
		}
		return s.Median()
	}
	t := measure.Table{Header: []string{g.title, "CPU ns/op", "ns/op", "allocs/op", "B/op"}}
	for _, ref := range g.references {
		t.Header = append(t.Header, "CPU ÷ "+short(ref))
	}
	t.Header = append(t.Header, g.extra...)
	for _, name := range g.benchmarks {
		row := []string{
			short(name), whole(median(name, "cpu-ns/op")), whole(median(name, "ns/op")),
			whole(median(name, "allocs/op")), whole(median(name, "B/op")),
		}
		for _, ref := range g.references {
			row = append(row, measure.Ratio(median(name, "cpu-ns/op"), median(ref, "cpu-ns/op")))
		}
		for _, unit := range g.extra {
			row = append(row, fmt.Sprintf("%.3g", median(name, unit)))
		}
		t.Add(row...)
	}
	if _, err := fmt.Fprintln(w); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if _, err := t.WriteTo(w); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if len(g.bounds) == 0 {
		return nil
	}
	kept := measure.Table{Header: []string{"bound", "CPU", "wall", "kept"}}
	for _, b := range g.bounds {
		cpu, wall := b.value(median, "cpu-ns/op"), b.value(median, "ns/op")
		if b.unit != "" { // a count has one value
			cpu = b.value(median, b.unit)
			wall = cpu
		}
		verdict := "**no**"
		if cpu <= b.limit {
			verdict = "yes"
		}
		kept.Add(b.words, fmt.Sprintf("%.3g", cpu), fmt.Sprintf("%.3g", wall), verdict)
	}
	fmt.Fprintln(w)
	if _, err := kept.WriteTo(w); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

func whole(v float64) string { return fmt.Sprintf("%.0f", v) }
