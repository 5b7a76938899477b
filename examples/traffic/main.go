// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Traffic simulates honest customers and an attack on the shop of examples/shop, and prints the
// statuses of the answers.
//
//	go run ./examples/traffic --ca /tmp/shop-…/traffic/ca.pem --attack distributed
package main

import (
	"context"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/otelauth/otelauth-go/examples/shop/pki"
	"github.com/otelauth/otelauth-go/examples/traffic/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is main with its inputs and outputs as parameters, for tests. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var names []string
	for _, a := range load.Attacks() {
		names = append(names, string(a))
	}
	flags := flag.NewFlagSet("traffic", flag.ContinueOnError)
	flags.SetOutput(stderr)
	target := flags.String("target", "https://127.0.0.2:8443", "the storefront's `URL`; a loopback or private address")
	attack := flags.String("attack", string(load.None), "attack to simulate beside the honest customers: "+strings.Join(names, ", "))
	rate := flags.Float64("rate", load.DefaultRate, fmt.Sprintf("requests a second, at most %d", load.MaxRate))
	duration := flags.Duration("duration", load.DefaultDuration, fmt.Sprintf("how long, at most %v", load.MaxDuration))
	pace := flags.Duration("pace", load.DefaultPace, "time between two guesses of low-and-slow")
	ca := flags.String("ca", "", "`file` with the certificate authority of the target, PEM; default: the system's authorities")
	from := flags.String("from", "", "local `address` of connections, which the target trusts as a proxy (127.0.0.5 for go run ./examples/shop)")
	seed := flags.Uint64("seed", 1, "the same seed simulates the same customers")
	anything := flags.Bool("dangerously-target-anything", false, "dial public addresses too")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "traffic: unexpected argument %q; see --help\n", flags.Arg(0))
		return 2
	}
	fail := func(status int, err error) int {
		fmt.Fprintln(stderr, "traffic:", strings.ReplaceAll(err.Error(), "\n", "; "))
		return status
	}
	client := load.ClientConfig{DangerouslyTargetAnything: *anything}
	if *ca != "" {
		roots, err := roots(*ca)
		if err != nil {
			return fail(1, err)
		}
		client.Roots = roots
	}
	if *from != "" {
		addr, err := netip.ParseAddr(*from)
		if err != nil {
			return fail(2, fmt.Errorf("--from: %w; give an address of this machine", err))
		}
		client.From = addr
	}
	summary, err := load.Run(ctx, load.Config{
		Client: load.NewClient(client), Target: *target, Attack: load.Attack(*attack), Rate: *rate, Duration: *duration, Pace: *pace, Seed: *seed,
	})
	if err != nil {
		return fail(2, err)
	}
	if err := summary.WriteTable(stdout); err != nil {
		return fail(1, err)
	}
	if err := summary.Failure(); err != nil {
		return fail(1, fmt.Errorf("%d requests had no answer, the first: %w", summary.Count(load.Honest, 0)+summary.Count(load.Attacker, 0), err))
	}
	return 0
}

func roots(file string) (*x509.CertPool, error) {
	certificates, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	pool, err := pki.ParsePool(certificates)
	if err != nil {
		return nil, fmt.Errorf("--ca %s: %w", file, err)
	}
	return pool, nil
}
