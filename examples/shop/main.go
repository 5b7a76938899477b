// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Shop is three services, each behind otelauth, that call each other over TLS: storefront, orders,
// inventory. Without a command it runs all three in this process, plays an attack on them, prints
// what was exported of it, and serves on.
//
//	go run ./examples/shop
//	go run ./examples/shop --once
//
// A command makes it one part of a shop that is spread over machines:
//
//	shop setup DIR                        certificates and credentials for everybody, once
//	shop storefront|orders|inventory      one service
//	shop health [URL]                     exit status 0 when the service is well
//
// Each takes --help. Flags of services can be given as environment variables, SHOP_LISTEN for
// --listen. Telemetry goes where OpenTelemetry's exporter variables say.
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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// misuse is an error in the command line: exit status 2. The empty one has been told already.
type misuse string

func (m misuse) Error() string { return string(m) }

// run is main with everything that a test wants to hold in its hands. It returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return report(dispatch(ctx, args, stdout, stderr), stderr)
}

// report tells an error in one line and returns the exit status.
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
			return misuse(fmt.Sprintf("%q is too much; see --help", flags.Arg(operands)))
		}
		return nil
	}
	switch command {
	case "":
		port := flags.Int("port", 8443, "where the services listen, on 127.0.0.2, .3 and .4; 0: a free `port` each")
		once := flags.Bool("once", false, "end after the story")
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
		if err := parse(1); err != nil {
			return err
		}
		if flags.NArg() == 0 {
			return misuse("setup wants the directory that it writes to")
		}
		made, err := setup(flags.Arg(0), time.Now(), demands{})
		if err == nil {
			fmt.Fprintln(stdout, map[bool]string{true: "certificates and credentials made", false: "all is there; nothing changed"}[made])
		}
		return err
	case "health":
		ca := flags.String("ca", os.Getenv("SHOP_CA"), "the `file` of who signed the service's certificate (SHOP_CA); default: that of --secrets")
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
	return misuse(fmt.Sprintf("%q is no command; there are setup, storefront, orders, inventory and health, and no command at all", command))
}

// demonstrate runs all three, tells the story and serves on.
func demonstrate(ctx context.Context, port int, once bool, d demands, stdout io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "shop-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	elsewhere := configured(os.Environ())
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
	told, err := play(ctx, s, client)
	if err != nil {
		return err
	}
	told.print(stdout)
	if elsewhere {
		fmt.Fprintln(stdout, "\nAll of it was exported to where the OTEL_ variables say too.")
	}
	if once {
		return nil
	}
	url := s.services[0].URL()
	fmt.Fprintf(stdout, "\nServing on %s until Ctrl-C; what is denied or detected is printed, and what you do yourself. Try:\n\n"+
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

// env returns SHOP_NAME of the environment.
func env(name, otherwise string) string {
	if v := os.Getenv("SHOP_" + name); v != "" {
		return v
	}
	return otherwise
}
