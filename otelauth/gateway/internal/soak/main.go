// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Command soak drives a gateway with good, bad, slow and vanishing clients at once, while its accounts, its configuration and its
// certificate change every second, accounts are revoked, and the upstream dies and comes back. It ends with status 1 when
// a request was left unanswered or without an event, when one reached a protected path without right credentials, when a stream
// outlived its account, or when goroutines, memory or descriptors have grown between the first quiet moment and the last.
//
// It measures no speed, and everything stays on the loopback.
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
	duration := fs.Duration("duration", time.Minute, "how long the clients go on, at least 2s")
	each := fs.Int("clients", 4, "of each kind")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 || *duration < 2*time.Second || *each < 1 {
		return errors.New("soak: -duration is 2s or more, -clients 1 or more, and there are no arguments")
	}
	s, err := newSoak(ctx, stderr)
	if err != nil {
		return err
	}
	defer s.close()
	return s.run(ctx, *duration, *each, stdout)
}
