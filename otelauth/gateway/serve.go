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

// server is one listener that is served.
type server struct {
	http.Server

	addr  net.Addr
	tls   bool
	ended chan struct{}
}

// Serve answers the requests that come to l until ctx ends, and returns when they have ended too, after Config.DrainTimeout at the
// latest: nil, or an error that says how many were cut. It refuses plaintext that the Config does not allow. It closes l. A
// gateway can serve several listeners.
func (g *Gateway) Serve(ctx context.Context, l net.Listener) error {
	s, err := g.enter(l)
	if err != nil {
		_ = l.Close()
		return err
	}
	defer g.leave(s)
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
	case <-g.ended:
	}
	return g.drain(s, failed)
}

// enter makes the server of a listener.
func (g *Gateway) enter(l net.Listener) (*server, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil, http.ErrServerClosed
	}
	st := g.latest.Load()
	s := &server{addr: l.Addr(), tls: st.cert != nil, ended: make(chan struct{})}
	if err := st.servable(s); err != nil {
		return nil, err
	}
	s.Server = http.Server{
		Handler:                      g,
		ReadHeaderTimeout:            st.cfg.ReadHeaderTimeout,
		IdleTimeout:                  st.cfg.IdleTimeout,
		MaxHeaderBytes:               st.cfg.MaxHeaderBytes,
		DisableGeneralOptionsHandler: true,                         // OPTIONS * is an attempt like any other
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

func (g *Gateway) leave(s *server) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.serving, s)
	close(s.ended)
}

// servable reports why s may not be served under st.
func (st *state) servable(s *server) error {
	switch {
	case s.tls && st.cert == nil:
		return &ConfigError{Field: "CertFile", Err: fmt.Errorf("%s is served over TLS; start anew to serve plaintext", s.addr)}
	case s.tls:
		return nil
	case st.cert != nil:
		return &ConfigError{Field: "CertFile", Err: fmt.Errorf("%s is served in plaintext; start anew to serve TLS", s.addr)}
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
		"%s can be reached from other machines, and everybody on the way would read the passwords: set CertFile and KeyFile, or name the proxies that speak TLS in "+
			"Auth.TrustedProxies, or listen on loopback", s.addr)}
}

// tenable reports whether what is served may be served under st. The lock is held.
func (g *Gateway) tenable(st *state) error {
	var faults []error
	for s := range g.serving {
		if err := st.servable(s); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// afterCut is how long handlers have to notice that they were cut.
const afterCut = 5 * time.Second

// drain lets what has begun end, and cuts the rest.
func (g *Gateway) drain(s *server, failed <-chan error) error {
	g.draining.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), g.latest.Load().cfg.DrainTimeout)
	defer cancel()
	_ = s.Shutdown(ctx)
	<-failed //nolint:errcheck // http.ErrServerClosed
	mine := func(x *exchange) bool { return x.server == &s.Server }
	// Shutdown does not wait for connections that were hijacked.
	g.await(ctx, mine)
	left := g.streams.those(mine)
	if len(left) == 0 {
		_ = s.Close() // connections that sent no request
		return nil
	}
	for _, x := range left {
		x.end()
	}
	_ = s.Close()
	late, cancelLate := context.WithTimeout(context.Background(), afterCut)
	defer cancelLate()
	g.await(late, mine)
	return fmt.Errorf("otelauth/gateway: %d requests to %s were cut after %v; a longer Config.DrainTimeout lets more of them end", len(left), s.addr, g.latest.Load().cfg.DrainTimeout)
}

// await returns when no exchange passes any longer, or ctx ends.
func (g *Gateway) await(ctx context.Context, pass func(*exchange) bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for len(g.streams.those(pass)) > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Shutdown ends every Serve, which drain and say by themselves what they cut, ends what [New] has started, and has the middleware tell what it
// holds back. It waits until then or until ctx ends, and may be called more than once. Call it, after Serve too, before the providers of telemetry are shut down.
func (g *Gateway) Shutdown(ctx context.Context) error {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		g.draining.Store(true)
		close(g.ended)
	}
	var waits []chan struct{}
	for s := range g.serving {
		waits = append(waits, s.ended)
	}
	g.mu.Unlock()
	for _, ended := range append(waits, g.kept) {
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
