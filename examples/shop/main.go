// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Shop is three services, each behind otelauth, that call each other over TLS: storefront, orders,
// inventory. Without a command it runs all three in this process, simulates an attack on them,
// prints the exported telemetry, and keeps serving.
//
//	go run ./examples/shop
//	go run ./examples/shop --once
//
// With a command it is one part of a shop that is distributed over machines:
//
//	shop setup DIR                        certificates and credentials of all services, once
//	shop storefront|orders|inventory      one service
//	shop health [URL]                     exit status 0 if the service is healthy
//
// Each takes --help. Flags of services can be given as environment variables, SHOP_LISTEN for
// --listen. OpenTelemetry's exporter variables set where telemetry goes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/otelauth/otelauth-go/examples/traffic/load"
	sdk "github.com/otelauth/otelauth-go/otelauth/telemetry"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// misuse is an error in the command line: exit status 2. An empty misuse has been printed already.
type misuse string

func (m misuse) Error() string { return string(m) }

// run is main with its inputs and outputs as parameters, for tests. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return report(dispatch(ctx, args, stdout, stderr), stderr)
}

// report prints an error on one line and returns the exit status.
func report(err error, stderr io.Writer) int {
	var wrong misuse
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &wrong) && wrong == "":
		return 2
	}
	fmt.Fprintln(stderr, "shop:", strings.ReplaceAll(err.Error(), "\n", "; "))
	if wrong != "" {
		return 2
	}
	return 1
}

func dispatch(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	command := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	flags := flag.NewFlagSet(strings.TrimSpace("shop "+command), flag.ContinueOnError)
	flags.SetOutput(stderr)
	parse := func(operands int) error {
		switch err := flags.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			return err
		case err != nil:
			return misuse("")
		case flags.NArg() > operands:
			return misuse(fmt.Sprintf("unexpected argument %q; see --help", flags.Arg(operands)))
		}
		return nil
	}
	switch command {
	case "":
		port := flags.Int("port", 8443, "`port` of the services on 127.0.0.2, .3 and .4; 0: a free one for each")
		once := flags.Bool("once", false, "end after the demonstration")
		if err := parse(0); err != nil {
			return err
		}
		if *port < 0 || *port > 65535 {
			return misuse(fmt.Sprintf("--port %d; choose 0 to 65535", *port))
		}
		return demonstrate(ctx, *port, *once, demands{}, stdout)
	case storefrontName, ordersName, inventoryName:
		cfg, err := configure(flags, command, parse)
		if err != nil {
			return err
		}
		return serveAlone(ctx, cfg, stdout)
	case "setup":
		return dispatchSetup(flags, parse, stdout)
	case "health":
		return dispatchHealth(ctx, flags, parse)
	}
	return misuse(fmt.Sprintf("%q is not a command; the commands are setup, storefront, orders, inventory and health; without one, all services run", command))
}

func dispatchSetup(flags *flag.FlagSet, parse func(operands int) error, stdout io.Writer) error {
	if err := parse(1); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return misuse("setup needs the directory to write to")
	}
	made, err := setup(flags.Arg(0), time.Now(), demands{})
	switch {
	case err != nil:
		return err
	case made:
		fmt.Fprintln(stdout, "certificates and credentials written")
	default:
		fmt.Fprintln(stdout, "certificates and credentials are complete; nothing changed")
	}
	return nil
}

func dispatchHealth(ctx context.Context, flags *flag.FlagSet, parse func(operands int) error) error {
	ca := flags.String("ca", os.Getenv("SHOP_CA"), "`file` with the certificate authority of the service (SHOP_CA); default: the one in --secrets")
	secrets := flags.String("secrets", env("SECRETS", "/run/shop"), "`directory` of the service (SHOP_SECRETS)")
	if err := parse(1); err != nil {
		return err
	}
	url := "https://127.0.0.1:8443" + healthPath
	if flags.NArg() == 1 {
		url = flags.Arg(0)
	}
	if *ca == "" {
		*ca = filepath.Join(*secrets, caFile)
	}
	return health(ctx, url, *ca)
}

// demonstrate runs all three services, plays the attack, prints its telemetry and keeps serving.
func demonstrate(ctx context.Context, port int, once bool, d demands, stdout io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "shop-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	elsewhere := sdk.HasExporter()
	s, err := startShop(ctx, dir, port, d, elsewhere)
	if err != nil {
		return explain(err)
	}
	defer func() { err = errors.Join(err, s.stop(ctx)) }()
	ca := filepath.Join(dir, "traffic", caFile)
	trust, err := trustOf(ca)
	if err != nil {
		return err
	}
	client := load.NewClient(load.ClientConfig{Roots: trust.RootCAs, From: proxyAddr})
	defer client.CloseIdleConnections()
	played, err := play(ctx, s, client)
	if err != nil {
		return err
	}
	played.print(stdout)
	if elsewhere {
		fmt.Fprintln(stdout, "\nAll of it was also exported to the destinations that the OTEL_ variables name.")
	}
	if once {
		return nil
	}
	url := s.services[0].URL()
	fmt.Fprintf(stdout, "\nServing on %s until Ctrl-C. Denials, detections and your own successful requests are printed. Try:\n\n"+
		"    curl --cacert %s -u alice:wonderland %s/orders\n    curl --cacert %s -u alice:guess %s/products/lamp\n"+
		"    go run ./examples/traffic --ca %s --target %s --from %s --attack distributed\n\n", url, ca, url, ca, url, ca, url, proxyAddr)
	s.printOn(stdout)
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed():
		return err
	}
}

// env returns the environment variable SHOP_NAME.
func env(name, otherwise string) string {
	if v := os.Getenv("SHOP_" + name); v != "" {
		return v
	}
	return otherwise
}
