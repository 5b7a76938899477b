// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"
)

// server serves one listener.
type server struct {
	http.Server

	addr  net.Addr
	tls   bool
	ended chan struct{}
}

// Serve serves l until ctx ends. Then it drains: it waits for the requests in progress, for
// Config.DrainTimeout at most. It returns nil, or an error with the number of requests that were
// cut. It refuses plaintext that the Config does not allow. It closes l. A Gateway can serve
// several listeners at once.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	s, err := g.register(l)
	if err != nil {
		_ = l.Close()
		return err
	}
	defer g.unregister(s)
	failed := make(chan error, 1)
	go func() {
		own := listener{Listener: l, stall: max(g.latest.Load().cfg.StallTimeout, 0)}
		if s.tls {
			failed <- s.ServeTLS(own, "", "")
		} else {
			failed <- s.Server.Serve(own)
		}
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("otelauth/gateway: serving %s ended: %w", l.Addr(), err)
	case <-ctx.Done():
	case <-g.shutdown:
	}
	return g.drain(s, failed)
}

// register returns the server for a listener.
func (g *Gateway) register(l net.Listener) (*server, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, http.ErrServerClosed
	}
	st := g.latest.Load()
	s := &server{addr: l.Addr(), tls: st.cert != nil, ended: make(chan struct{})}
	if err := st.canServe(s); err != nil {
		return nil, err
	}
	s.Server = http.Server{
		Handler:           g,
		ReadHeaderTimeout: st.cfg.ReadHeaderTimeout,
		IdleTimeout:       st.cfg.IdleTimeout,
		MaxHeaderBytes:    st.cfg.MaxHeaderBytes,
		// OPTIONS * is an attempt like any other
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(serverLog{g}, "", 0), //nolint:forbidigo // becomes signals
		ConnState:                    g.watchState,
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			if c := connOf(nc); c != nil {
				return context.WithValue(ctx, connKey{}, c)
			}
			return ctx
		},
		Protocols: new(http.Protocols),
	}
	s.Protocols.SetHTTP1(true)
	if s.tls {
		s.Protocols.SetHTTP2(true)
		s.TLSConfig = &tls.Config{
			MinVersion: tls.VersionTLS12,
			GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return g.latest.Load().cert.get(hello)
			},
		}
	} else {
		s.Protocols.SetUnencryptedHTTP2(true)
	}
	g.serving[s] = struct{}{}
	return s, nil
}

func (g *Gateway) unregister(s *server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.serving, s)
	close(s.ended)
}

// canServe returns why s must not be served under st, or nil.
func (st *state) canServe(s *server) error {
	switch {
	case s.tls && st.cert == nil:
		return &ConfigError{Field: "CertFile", Err: fmt.Errorf("%s is served over TLS; restart the gateway to serve plaintext", s.addr)}
	case s.tls:
		return nil
	case st.cert != nil:
		return &ConfigError{Field: "CertFile", Err: fmt.Errorf("%s is served in plaintext; restart the gateway to serve TLS", s.addr)}
	case st.cfg.DangerouslyAllowPlaintext, len(st.cfg.Auth.TrustedProxies) > 0:
		return nil
	}
	switch addr := s.addr.(type) {
	case *net.UnixAddr:
		return nil
	case *net.TCPAddr:
		if addr.IP.IsLoopback() {
			return nil
		}
	}
	return &ConfigError{Field: "DangerouslyAllowPlaintext", Err: fmt.Errorf(
		"%s can be reached from other machines, and everyone on the network path could read the passwords: "+
			"set CertFile and KeyFile, or name the proxies that terminate TLS in Auth.TrustedProxies, or listen on loopback", s.addr)}
}

// canServeAll returns why a server in use must not be served under st, or nil. The caller holds
// the lock.
func (g *Gateway) canServeAll(st *state) error {
	var problems []error
	for s := range g.serving {
		if err := st.canServe(s); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

// abortTimeout is how long handlers have to return after they were aborted.
const abortTimeout = 5 * time.Second

// drain waits for the requests in progress, and aborts those that outlast Config.DrainTimeout.
func (g *Gateway) drain(s *server, failed <-chan error) error {
	g.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), g.latest.Load().cfg.DrainTimeout)
	defer cancel()
	_ = s.Shutdown(ctx)
	<-failed //nolint:errcheck // http.ErrServerClosed
	mine := func(x *exchange) bool { return x.server == &s.Server }
	// Shutdown does not wait for connections that were hijacked.
	g.await(ctx, mine)
	left := g.streams.find(mine)
	if len(left) == 0 {
		_ = s.Close() // connections that sent no request
		return nil
	}
	for _, x := range left {
		x.abort()
	}
	_ = s.Close()
	late, cancelLate := context.WithTimeout(context.Background(), abortTimeout)
	defer cancelLate()
	g.await(late, mine)
	return fmt.Errorf("otelauth/gateway: %d requests to %s were cut after %v; set a longer drain timeout",
		len(left), s.addr, g.latest.Load().cfg.DrainTimeout)
}

// await returns when no exchange matches any longer, or ctx ends.
func (g *Gateway) await(ctx context.Context, match func(*exchange) bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(g.streams.find(match)) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Shutdown ends every Serve, which drains and returns its own error. It then stops what [New]
// started and closes the middleware, which flushes its folded events. It waits until all of that
// is done or ctx ends. It may be called more than once. Call it before the telemetry providers
// are shut down, even if Serve has returned.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		g.draining.Store(true)
		close(g.shutdown)
	}
	var waits []chan struct{}
	for s := range g.serving {
		waits = append(waits, s.ended)
	}
	g.mu.Unlock()
	for _, ended := range append(waits, g.watching) {
		select {
		case <-ended:
		case <-ctx.Done():
			return fmt.Errorf("otelauth/gateway: requests are still being drained: %w", ctx.Err())
		}
	}
	g.latest.Load().upstream.close()
	g.signals.flush()
	return g.mw.Close()
}
