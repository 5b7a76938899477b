// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command soak runs a gateway under mixed load: good, bad, slow and disconnecting clients at
// once, while accounts, configuration and certificate change every second, accounts are revoked,
// and the upstream dies and comes back. It exits with status 1 if
//   - a request has no answer or no event,
//   - a request reaches a protected path without right credentials,
//   - a stream outlives its account, or
//   - goroutines, memory or descriptors grow between two idle moments.
//
// It measures no speed. All traffic stays on loopback.
//
//	go run ./otelauth/gateway/internal/soak -duration 60s
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	if len(args) == 3 && args[0] == "serve" {
		return serve(args[1], args[2], stdin, stdout)
	}
	fs := flag.NewFlagSet("soak", flag.ContinueOnError)
	fs.SetOutput(stderr)
	duration := fs.Duration("duration", time.Minute, "how long the load lasts, at least 2s")
	each := fs.Int("clients", 4, "number of clients of each kind")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 || *duration < 2*time.Second || *each < 1 {
		return errors.New("soak: set -duration to 2s or more and -clients to 1 or more, without other arguments")
	}
	s, err := newSoak(ctx, stderr)
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(ctx, *duration, *each, stdout)
}
