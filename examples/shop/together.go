// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/otelauth/otelauth-go/examples/shop/otlpview"
	"github.com/otelauth/otelauth-go/examples/traffic/load"
	"github.com/otelauth/otelauth-go/otelauth/verify"
)

// Each has a loopback address of its own, on which it listens and from which it calls, so that
// whose trace is obeyed is decided by an address here as it is on a network. What else runs on
// this host calls from 127.0.0.1, and is an outsider.
var (
	storefrontAddr = netip.MustParseAddr("127.0.0.2")
	ordersAddr     = netip.MustParseAddr("127.0.0.3")
	inventoryAddr  = netip.MustParseAddr("127.0.0.4")
	proxyAddr      = netip.MustParseAddr("127.0.0.5") // of the traffic, which stands for the reverse proxy in front
)

// shop is the three services in one process, and the view that they export to.
type shop struct {
	view     *otlpview.View
	receiver *http.Server
	services []*service // the storefront first
	signals  []*telemetry
	views    []destination
}

// startShop makes the secrets in dir and starts the three. port 0: a free one for each.
func startShop(ctx context.Context, dir string, port int, d demands, elsewhere bool) (_ *shop, err error) {
	s := &shop{view: otlpview.New()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop(ctx))
		}
	}()
	d.hosts = map[string][]netip.Addr{storefrontName: {storefrontAddr}, ordersName: {ordersAddr}, inventoryName: {inventoryAddr}}
	if _, err := setup(dir, time.Now(), d); err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s.receiver = &http.Server{Handler: s.view, ReadHeaderTimeout: patience, ErrorLog: quiet()}
	go func() { _ = s.receiver.Serve(listener) }()

	alone := func(a netip.Addr) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())} }
	gate := verify.NewGate(verify.Limits{}) // the processor is shared too
	next := ""
	for _, c := range []config{
		{name: inventoryName, from: inventoryAddr, trustedCallers: alone(ordersAddr)},
		{name: ordersName, from: ordersAddr, trustedCallers: alone(storefrontAddr)},
		{name: storefrontName, from: storefrontAddr, trustedProxies: alone(proxyAddr)},
	} {
		c.listen, c.secrets, c.next, c.gate = net.JoinHostPort(c.from.String(), strconv.Itoa(port)), filepath.Join(dir, c.name), next, gate
		signals, err := s.newSignals(ctx, c.name, "http://"+listener.Addr().String(), elsewhere)
		if err != nil {
			return nil, err
		}
		started, err := startService(ctx, c, signals)
		if err != nil {
			return nil, err
		}
		s.services = append([]*service{started}, s.services...)
		next = started.URL()
	}
	return s, nil
}

// newSignals exports to the view, and to where the environment says when that is asked for.
func (s *shop) newSignals(ctx context.Context, name, endpoint string, elsewhere bool) (*telemetry, error) {
	view, err := toView(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	s.views = append(s.views, view)
	to := []destination{view}
	if elsewhere {
		there, err := toEnvironment(ctx)
		if err != nil {
			return nil, err
		}
		to = append(to, there)
	}
	signals, err := newTelemetry(ctx, name, false, to...)
	if err != nil {
		return nil, err
	}
	s.signals = append(s.signals, signals)
	return signals, nil
}

// flush has everything that was told until now in the view.
func (s *shop) flush(ctx context.Context) error {
	var faults []error
	for _, v := range s.views {
		faults = append(faults, v.flush(ctx))
	}
	return errors.Join(faults...)
}

// stop ends the services, whoever calls before whom he calls, then their telemetry, then the view.
func (s *shop) stop(ctx context.Context) error {
	var faults []error
	for _, service := range s.services {
		faults = append(faults, service.stop(ctx))
	}
	for _, t := range s.signals {
		faults = append(faults, t.shutdown(ctx))
	}
	if s.receiver != nil {
		faults = append(faults, s.receiver.Close())
	}
	return errors.Join(faults...)
}

// printOn has what happens from now on printed.
func (s *shop) printOn(w io.Writer) {
	s.view.OnEvent(func(e otlpview.Event) { printEvent(w, load.UserAgent, e) })
}

// failed returns where the first service that ends by itself says why.
func (s *shop) failed() <-chan error {
	first := make(chan error, len(s.services))
	for _, service := range s.services {
		go func() { first <- <-service.served }()
	}
	return first
}

// explain adds what to do about an address that cannot be listened on.
func explain(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; choose another port with --port, or --listen for one service", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w; the shop wants 127.0.0.2 to 127.0.0.5, which some systems lack (macOS: sudo ifconfig lo0 alias 127.0.0.2, and so on)", err)
	}
	return err
}
