// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package ldap

import (
	"context"
	"crypto/tls"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	ldap "github.com/go-ldap/ldap/v3"
)

// pool keeps connections to the directory, at most size of them.
type pool struct {
	cfg    Config
	greet  func(*ldap.Conn) error // initializes a new connection
	turns  chan struct{}
	idle   chan *ldap.Conn
	closed atomic.Bool
}

func newPool(cfg Config, greet func(*ldap.Conn) error) *pool {
	return &pool{cfg: cfg, greet: greet, turns: make(chan struct{}, cfg.Connections), idle: make(chan *ldap.Conn, cfg.Connections)}
}

// with runs do on a connection, at most until Timeout or the end of ctx.
func (p *pool) with(ctx context.Context, do func(*ldap.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	select {
	case p.turns <- struct{}{}:
		defer func() { <-p.turns }()
	case <-ctx.Done():
		return ctx.Err()
	}
	c, err := p.take(ctx)
	if err != nil {
		return err
	}
	watch := context.AfterFunc(ctx, func() { _ = c.Close() })
	err = do(c)
	if !watch() {
		return ctx.Err()
	}
	if ldap.IsErrorWithCode(err, ldap.ErrorNetwork) {
		_ = c.Close()
		return err
	}
	p.give(c)
	return err
}

// take returns an open connection. The library also reads from idle ones, so it knows which are
// closed.
func (p *pool) take(ctx context.Context) (*ldap.Conn, error) {
	for {
		select {
		case c := <-p.idle:
			if !c.IsClosing() {
				return c, nil
			}
			_ = c.Close()
		default:
			return p.dial(ctx)
		}
	}
}

func (p *pool) give(c *ldap.Conn) {
	if p.closed.Load() || c.IsClosing() {
		_ = c.Close()
		return
	}
	select {
	case p.idle <- c:
	default:
		_ = c.Close()
	}
}

func (p *pool) close() {
	p.closed.Store(true)
	for {
		select {
		case c := <-p.idle:
			_ = c.Close()
		default:
			return
		}
	}
}

func (p *pool) dial(ctx context.Context) (*ldap.Conn, error) {
	left := p.cfg.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	u, err := url.Parse(p.cfg.URL)
	if err != nil {
		return nil, err // New has checked it
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if p.cfg.TLS != nil {
		config = p.cfg.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = u.Hostname()
	}
	c, err := ldap.DialURL(p.cfg.URL, ldap.DialWithDialer(&net.Dialer{Timeout: left}), ldap.DialWithTLSConfig(config))
	if err != nil {
		return nil, err
	}
	c.SetTimeout(p.cfg.Timeout)
	watch := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer watch()
	if u.Scheme == "ldap" {
		err = c.StartTLS(config)
	}
	if err == nil {
		err = p.greet(c)
	}
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}
