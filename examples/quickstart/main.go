// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Quickstart is a service behind otelauth that prints its telemetry. It sends itself a tour of
// requests, prints what was exported, and keeps serving.
//
//	go run ./examples/quickstart
//	curl -u alice:wonderland http://127.0.0.1:8080/orders/7
//
// OTEL_EXPORTER_OTLP_ENDPOINT and the other exporter variables of OpenTelemetry send spans,
// metrics and events to a collector.
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

	"github.com/otelauth/otelauth-go/otelauth/operator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is main with its inputs and outputs as parameters, for tests. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:8080", "`address` to listen on; clients on other hosts get 403, because the service has no TLS")
	once := flags.Bool("once", false, "exit after the tour")
	json := flags.Bool("json", false, "print the spans, metric points and events as JSON, as exporters get them")
	dir := flags.String("trail", "", "`folder` on a local disk for a tamper-evident record of every attempt; default: none")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "quickstart: unexpected argument %q; see --help\n", flags.Arg(0))
		return 2
	}
	if err := serve(ctx, *addr, *dir, *once, newBoard(stdout, *json)); err != nil {
		fmt.Fprintln(stderr, "quickstart:", err)
		return 1
	}
	return 0
}

// patience bounds the shutdown: open requests and exports.
const patience = 5 * time.Second

func serve(ctx context.Context, addr, dir string, once bool, board *board) (err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --addr", err)
	}
	defer func() { _ = listener.Close() }()

	telemetry, err := startTelemetry(ctx, board.report)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, within(ctx, telemetry.shutdown)) }()

	record, err := openRecord(dir)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, within(ctx, func(ctx context.Context) error { return record.close(ctx, board.out) }))
	}()
	op, err := operator.New(operator.Config{Acts: true})
	if err != nil {
		return err
	}
	handler, end, err := newService(listener.Addr().String(), record.observer(), op)
	if err != nil {
		return err
	}
	// After the last request and before the providers end. end flushes folded events and
	// unregisters the gauges, so their last values are exported first.
	defer func() { err = errors.Join(err, within(ctx, telemetry.flush), end()) }()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: patience}
	server.RegisterOnShutdown(func() { _ = op.Close() }) // ends the live views
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

// within calls end with a timeout of its own, because ctx may have ended.
func within(ctx context.Context, end func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return end(ctx)
}

// urlOf returns the URL of the listener for a client on this host.
func urlOf(listening net.Addr) string {
	host, port, err := net.SplitHostPort(listening.String())
	if ip := net.ParseIP(host); err == nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}
