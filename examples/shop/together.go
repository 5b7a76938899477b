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

// Each service listens on a loopback address of its own and calls from it. So an address decides
// whose trace is continued, as on a network. Other programs on this host call from 127.0.0.1 and
// are outsiders.
var (
	storefrontAddr = netip.MustParseAddr("127.0.0.2")
	ordersAddr     = netip.MustParseAddr("127.0.0.3")
	inventoryAddr  = netip.MustParseAddr("127.0.0.4")
	// of the traffic generator, which acts as the reverse proxy
	proxyAddr = netip.MustParseAddr("127.0.0.5")
)

// shop is the three services in one process, and the view that they export to.
type shop struct {
	view     *otlpview.View
	receiver *http.Server
	services []*service // the storefront first
	signals  []*telemetry
	views    []destination
}

// startShop writes the secrets to dir and starts the three services. port 0 chooses a free port
// for each.
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
	gate := verify.NewGate(verify.Limits{}) // they share the processor too
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

// newSignals exports to the view, and on request to the destination that the environment names.
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

// flush exports everything recorded so far to the view.
func (s *shop) flush(ctx context.Context) error {
	var errs []error
	for _, v := range s.views {
		errs = append(errs, v.flush(ctx))
	}
	return errors.Join(errs...)
}

// stop ends the services, each caller before the service that it calls. Then it ends their
// telemetry, and then the view.
func (s *shop) stop(ctx context.Context) error {
	var errs []error
	for _, service := range s.services {
		errs = append(errs, service.stop(ctx))
	}
	for _, t := range s.signals {
		errs = append(errs, t.shutdown(ctx))
	}
	if s.receiver != nil {
		errs = append(errs, s.receiver.Close())
	}
	return errors.Join(errs...)
}

// printOn prints events from now on to w.
func (s *shop) printOn(w io.Writer) {
	s.view.OnEvent(func(e otlpview.Event) { printEvent(w, load.UserAgent, e) })
}

// failed returns a channel that receives the error of the first service that stops by itself.
func (s *shop) failed() <-chan error {
	first := make(chan error, len(s.services))
	for _, service := range s.services {
		go func() { first <- <-service.served }()
	}
	return first
}

// explain adds what to do if the address cannot be listened on.
func explain(err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w; choose another port with --port, or --listen for one service", err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w; the shop needs 127.0.0.2 to 127.0.0.5, which some systems lack (macOS: sudo ifconfig lo0 alias 127.0.0.2, and so on)", err)
	}
	return err
}
