// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// conn is a client's connection. Each write has its own deadline. It also records whether the
// received bytes became a request, because net/http answers bytes that it cannot parse without
// calling a handler.
type conn struct {
	net.Conn
	stall time.Duration // 0: writes have no deadline
	base  time.Time

	deadline atomic.Int64 // of writes, since base
	unparsed atomic.Bool  // bytes were received that no handler has seen as a request
	hasRead  bool         // used by the one goroutine that reads first
	h2c      atomic.Bool  // HTTP/2 without TLS: its streams are the requests
}

type connKey struct{}

type listener struct {
	net.Listener
	stall time.Duration
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, stall: l.stall, base: time.Now()}, nil
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.hasRead && n > 0 {
		c.hasRead = true
		if bytes.HasPrefix(p[:n], []byte("PRI * HTTP/2.0")) {
			c.h2c.Store(true)
		}
	}
	return n, err
}

// Write moves the deadline only when half of it has passed, so most writes set no timer.
func (c *conn) Write(p []byte) (int, error) {
	if c.stall > 0 {
		now := time.Since(c.base)
		if time.Duration(c.deadline.Load())-now < c.stall/2 {
			c.deadline.Store(int64(now + c.stall))
			_ = c.Conn.SetWriteDeadline(time.Now().Add(c.stall))
		}
	}
	return c.Conn.Write(p)
}

// SetDeadline sets both deadlines. net/http calls it to clear them at a hijack.
func (c *conn) SetDeadline(t time.Time) error {
	c.deadline.Store(0)
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline sets a deadline that the next Write moves.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.deadline.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite lets a client read the answer to a request whose body was not read to its end.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// connOf returns the conn under c, or nil if c was not accepted by a [listener].
func connOf(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*conn)
	return own
}

// isHTTP2 reports whether nc, which is c or TLS over c, carries HTTP/2.
func (c *conn) isHTTP2(nc net.Conn) bool {
	t, ok := nc.(*tls.Conn)
	return c.h2c.Load() || ok && t.ConnectionState().NegotiatedProtocol == "h2"
}

// watchState implements http.Server.ConnState.
func (g *Gateway) watchState(nc net.Conn, state http.ConnState) {
	if state != http.StateActive && state != http.StateClosed {
		return
	}
	c := connOf(nc)
	if c == nil {
		return
	}
	if state == http.StateActive {
		c.unparsed.Store(true)
		if c.stall > 0 && !c.isHTTP2(nc) {
			// net/http may answer without a handler (an unknown Expect) and then waits for the
			// body without a deadline. It removes this deadline before it calls a handler.
			_ = c.Conn.SetReadDeadline(time.Now().Add(c.stall))
		}
		return
	}
	if !c.unparsed.Swap(false) || c.isHTTP2(nc) {
		return
	}
	peer := ""
	if addr, _, err := net.SplitHostPort(c.RemoteAddr().String()); err == nil {
		peer = addr
	}
	g.signals.connectionUnparsed(peer, "malformed_request")
}

// serverLog receives net/http's log lines about connections on which no request arrived.
type serverLog struct{ g *Gateway }

func (l serverLog) Write(line []byte) (int, error) {
	if rest, found := bytes.CutPrefix(line, []byte("http: TLS handshake error from ")); found {
		peer, _, _ := bytes.Cut(rest, []byte(": "))
		host, _, _ := net.SplitHostPort(string(peer))
		l.g.signals.connectionUnparsed(host, "tls_handshake")
	}
	// otelauth records panics itself; the value of a panic may hold request data
	return len(line), nil
}
