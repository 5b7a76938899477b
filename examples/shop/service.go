// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"

	"github.com/otelauth/otelauth-go/examples/shop/pki"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/htpasswd"
)

// Names of the services, in resources and certificates.
const (
	storefrontName = "storefront"
	ordersName     = "orders"
	inventoryName  = "inventory"
)

// config configures one service. Its secrets are files in the directory that setup wrote for it.
type config struct {
	name    string
	listen  string
	secrets string
	// next is the URL of the service that this one calls; "" for inventory, which calls no
	// service.
	next string
	// from is the address that its calls leave from. The zero Addr leaves the choice to the
	// system.
	from netip.Addr
	// trustedCallers are the networks whose traceparent is continued. Default: none.
	trustedCallers []netip.Prefix
	// trustedProxies are the networks whose X-Forwarded-For is believed. Default: none.
	trustedProxies []netip.Prefix
	// redis is host:port of the Redis in which the replicas of this service share budgets and
	// evidence. "": no Redis.
	redis string
	// trail is the folder of a tamper-evident record. "": no record.
	trail string
	// slowTenMinutes lowers detect.Thresholds.SlowTenMinutes, so that low_and_slow fires within a
	// demonstration. 0: the default.
	slowTenMinutes int
	// gate is shared by the services of one process. nil: a gate of its own.
	gate *verify.Gate
}

const healthPath = "/healthz"

// service is a running service.
type service struct {
	name     string
	listener net.Listener
	server   *http.Server
	served   chan error
	signals  *telemetry
	closers  []func() error // in the order in which they are called, after the last request
}

// startService starts a service. The caller ends it with stop, and shuts down signals itself.
func startService(ctx context.Context, cfg config, signals *telemetry) (_ *service, err error) {
	s := &service{name: cfg.name, served: make(chan error, 1), signals: signals}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", cfg.name, errors.Join(err, s.close()))
		}
	}()
	pair, err := readPair(cfg.secrets)
	if err != nil {
		return nil, err
	}
	tlsConfig, err := pair.Server()
	if err != nil {
		return nil, err
	}
	if s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", cfg.listen); err != nil {
		return nil, err
	}
	handler, err := s.newHandler(&cfg)
	if err != nil {
		_ = s.listener.Close()
		return nil, err
	}
	s.server = &http.Server{
		Handler: handler, TLSConfig: tlsConfig, ReadHeaderTimeout: patience, ReadTimeout: 2 * patience, IdleTimeout: time.Minute,
		ErrorLog: quiet(),
	}
	go func() { s.served <- s.server.ServeTLS(s.listener, "", "") }()
	return s, nil
}

// newHandler wraps the shop's handler with otelauth, in an otelhttp stack.
func (s *service) newHandler(cfg *config) (http.Handler, error) {
	identity, err := readIdentity(cfg.secrets)
	if err != nil {
		return nil, err
	}
	accounts := htpasswd.Config{Path: filepath.Join(cfg.secrets, accountsFile)}
	if cfg.name == inventoryName {
		accounts.Groups = filepath.Join(cfg.secrets, groupsFile)
	}
	users, err := htpasswd.Open(accounts)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, users.Close)

	mux := http.NewServeMux()
	mux.HandleFunc("GET "+healthPath, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	auth := otelauth.Config{
		Realm: "shop " + cfg.name, Accounts: users, Routes: mux, Public: []string{"GET " + healthPath},
		TrustedProxies: cfg.trustedProxies,
		// not nil: trust no network, instead of all local ones
		TrustedCallers: append([]netip.Prefix{}, cfg.trustedCallers...),
		IdentityKey:    identity,
		Gate:           cfg.gate,
		// A quarter of the default, also in memory: a demonstration has few customers.
		Detect:         detect.Config{Entries: 1 << 12, Thresholds: detect.Thresholds{SlowTenMinutes: cfg.slowTenMinutes}},
		TracerProvider: s.signals.traces, MeterProvider: s.signals.meters, LoggerProvider: s.signals.logs,
	}
	if cfg.name == storefrontName {
		auth.Public = append(auth.Public, "GET /{$}")
	}
	if cfg.redis != "" {
		closers, err := share(cfg, &auth)
		s.closers = append(closers, s.closers...)
		if err != nil {
			return nil, err
		}
	}
	if cfg.trail != "" {
		end, err := s.record(cfg, &auth)
		if err != nil {
			return nil, err
		}
		s.closers = append([]func() error{end}, s.closers...)
	}
	mw, err := otelauth.New(auth)
	if err != nil {
		return nil, err
	}
	// Close reports pending events, so it must run before the trail, the store of budgets, the
	// accounts and the telemetry end.
	s.closers = append([]func() error{mw.Close}, s.closers...)
	if err := s.addRoutes(cfg, mux, mw); err != nil {
		return nil, err
	}
	return s.observed(cfg, mw, mw.Wrap(mux)), nil
}

// observed wraps h with otelhttp.
func (s *service) observed(cfg *config, mw *otelauth.Middleware, h http.Handler) http.Handler {
	return otelhttp.NewHandler(
		h, cfg.name,
		otelhttp.WithPublicEndpointFn(mw.Untrusted),
		// a Host header that a client invents must not create a time series
		otelhttp.WithServerName(cfg.name+":8443"),
		otelhttp.WithTracerProvider(s.signals.traces), otelhttp.WithMeterProvider(s.signals.meters),
		otelhttp.WithPropagators(propagator),
		// The container's health check is not traffic. A request with credentials is.
		otelhttp.WithFilter(func(r *http.Request) bool {
			return r.URL.Path != healthPath || r.Header["Authorization"] != nil
		}),
	)
}

func (s *service) addRoutes(cfg *config, mux *http.ServeMux, mw *otelauth.Middleware) error {
	switch cfg.name {
	case inventoryName:
		newInventory().addRoutes(mux, mw)
		return nil
	case ordersName:
		stock, errStock := s.newCall(cfg, stockFile)
		returns, errReturns := s.newCall(cfg, returnsFile)
		newOrders(stock, returns).addRoutes(mux)
		return errors.Join(errStock, errReturns)
	}
	orders, err := s.newCall(cfg, ordersFile)
	storefront{orders}.addRoutes(mux)
	return err
}

// URL returns the URL of the service.
func (s *service) URL() string { return "https://" + s.listener.Addr().String() }

// patience bounds the shutdown: requests in flight and the last export.
const patience = 5 * time.Second

// stop ends the service: first the requests, then the middleware, which reports what it still
// holds back. The owner of the telemetry exports and ends it after that.
func (s *service) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("%s: %w", s.name, err)
	}
	// The occupancy of its tables is not reported after Close, so export it first. An unreachable
	// collector does not fail the shutdown.
	_ = s.signals.meters.ForceFlush(ctx)
	return errors.Join(err, s.close())
}

func (s *service) close() error {
	var errs []error
	for _, end := range s.closers {
		errs = append(errs, end())
	}
	s.closers = nil
	return errors.Join(errs...)
}

func readPair(secrets string) (p pki.Pair, err error) {
	var errCert, errKey error
	p.Cert, errCert = os.ReadFile(filepath.Join(secrets, certFile))
	p.Key, errKey = os.ReadFile(filepath.Join(secrets, keyFile))
	return p, errors.Join(errCert, errKey)
}

// readIdentity returns the key that the three services share, so that a name has the same
// user.hash in all of them.
func readIdentity(secrets string) (otelauth.IdentityKey, error) {
	path := filepath.Join(secrets, identityFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return otelauth.IdentityKey{}, err
	}
	secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(secret) < 32 {
		return otelauth.IdentityKey{}, fmt.Errorf("%s is not 64 hexadecimal digits; run shop setup to create it", path)
	}
	return otelauth.IdentityKey{ID: "shop", Secret: secret}, nil
}

// derive returns a key for another purpose, so that no two uses share one.
func derive(identity otelauth.IdentityKey, purpose string) ([]byte, error) {
	return hkdf.Key(sha256.New, identity.Secret, nil, "shop "+purpose, 32)
}

// trustOf returns the client configuration that trusts only the shop's authority.
func trustOf(ca string) (*tls.Config, error) {
	certificates, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	pool, err := pki.ParsePool(certificates)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ca, err)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13}, nil
}
