// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/otelauth/otelauth-go/examples/shop/customers"
	"github.com/otelauth/otelauth-go/examples/shop/pki"
	"github.com/otelauth/otelauth-go/examples/traffic/load"
)

// robbed is the customer whose password the intruder has: the one that the spray of
// examples/traffic guesses.
const robbed = customers.Weak

const goods = "lamp"

var intruder = netip.MustParseAddr("203.0.113.66") // RFC 5737

// returns repeats an attack with a guessed password. As the customer, the intruder buys an item
// and requests a refund. The storefront and orders accept the customer's credentials, but the
// account that orders uses for returns is disabled at inventory. It prints one line for each
// repetition.
func returns(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("demo returns", flag.ContinueOnError)
	flags.SetOutput(stderr)
	target := flags.String("target", "https://127.0.0.2:8443", "the storefront's `URL`; a loopback or private address")
	ca := flags.String("ca", "", "`file` with the certificate authority of the storefront, PEM")
	every := flags.Duration("every", 30*time.Second, "time between two returns; 0: one return")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil, flags.NArg() > 0, *ca == "":
		return errUsage
	}
	certificates, err := os.ReadFile(*ca)
	if err != nil {
		return fmt.Errorf("--ca: %w", err)
	}
	roots, err := pki.ParsePool(certificates)
	if err != nil {
		return fmt.Errorf("--ca %s: %w", *ca, err)
	}
	client := load.NewClient(load.ClientConfig{Roots: roots})
	if *every <= 0 {
		return buyAndReturn(ctx, client, *target, stdout)
	}
	tick := time.NewTicker(*every)
	defer tick.Stop()
	for {
		if err := buyAndReturn(ctx, client, *target, stdout); err != nil && ctx.Err() == nil {
			fmt.Fprintln(stderr, "demo:", err) // a storefront that restarts must not end the attack
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func buyAndReturn(ctx context.Context, client *http.Client, target string, stdout io.Writer) error {
	visit := func(path string) (int, []byte, error) {
		return load.Do(ctx, client, target, load.Visit{
			Who: load.Attacker, From: intruder, Method: http.MethodPost, Path: path, Name: robbed, Password: password(robbed),
		})
	}
	status, answer, err := visit("/checkout/" + goods)
	if err != nil {
		return fmt.Errorf("returns: %w", err)
	}
	var order struct{ ID int }
	if status/100 != 2 || json.Unmarshal(answer, &order) != nil {
		return fmt.Errorf("returns: checkout answered %d %s", status, http.StatusText(status))
	}
	status, _, err = visit(fmt.Sprintf("/returns/%d", order.ID))
	if err != nil {
		return fmt.Errorf("returns: %w", err)
	}
	_, err = fmt.Fprintf(stdout, "as %s bought %s, returns answered %d %s\n", robbed, goods, status, http.StatusText(status))
	return err
}

// password returns the public password of an invented customer.
func password(name string) string {
	for _, c := range customers.All {
		if c.Name == name {
			return c.Password
		}
	}
	return ""
}
