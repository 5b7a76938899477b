// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Quickstart is a service behind otelauth that shows what otelauth tells of it. It plays a tour against itself,
// prints what was exported, and serves on.
//
//	go run ./examples/quickstart
//	curl -u alice:wonderland http://127.0.0.1:8080/orders/7
//
// With OTEL_EXPORTER_OTLP_ENDPOINT, or another of OpenTelemetry's exporter variables, spans, metrics and events go
// there.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is main with everything that a test wants to hold in its hands. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8080", "`address` to listen on; callers that are not on this host get 403, because this is no TLS")
	once := flags.Bool("once", false, "end after the tour")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "quickstart: %q is no flag; see --help\n", flags.Arg(0))
		return 2
	}
	if err := serve(ctx, *addr, *once, stdout); err != nil {
		fmt.Fprintln(stderr, "quickstart:", err)
		return 1
	}
	return 0
}

// patience bounds the end: what is being answered, and what is being exported.
const patience = 5 * time.Second

func serve(ctx context.Context, addr string, once bool, stdout io.Writer) (err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --addr", err)
	}
	defer func() { _ = listener.Close() }()

	board := newBoard(stdout)
	telemetry, err := startTelemetry(ctx, board.tell)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, within(ctx, telemetry.shutdown)) }()

	handler, end, err := newService(listener.Addr().String())
	if err != nil {
		return err
	}
	// After the last request and before the providers end, through which it tells what it holds back. How full its tables are is
	// not reported any longer then, so that is exported first.
	defer func() { err = errors.Join(err, within(ctx, telemetry.meters.ForceFlush), end()) }()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: patience}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { err = errors.Join(err, within(ctx, server.Shutdown)) }()

	url := urlOf(listener.Addr())
	if err := tour(ctx, url, board); err != nil || once {
		return err
	}
	board.invite(url)
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return err
	}
}

// within gives end its time, although ctx may have ended already.
func within(ctx context.Context, end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return end(ctx)
}

// urlOf returns where a client on this host finds the listener.
func urlOf(listening net.Addr) string {
	host, port, err := net.SplitHostPort(listening.String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
