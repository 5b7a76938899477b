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

// conn is a client's connection. It gives each write a deadline of its own, and knows whether what came has become a request:
// net/http answers what it cannot parse by itself.
type conn struct {
	net.Conn
	stall time.Duration // 0: writes may take any time
	base  time.Time

	until    atomic.Int64 // the deadline of writes that is set, since base
	unparsed atomic.Bool  // octets have come that no handler has seen as a request
	read     bool         // something, by the one goroutine that reads first
	h2c      atomic.Bool  // HTTP/2 without TLS: streams, not the connection, are requests
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
	if !c.read && n > 0 {
		c.read = true
		if bytes.HasPrefix(p[:n], []byte("PRI * HTTP/2.0")) {
			c.h2c.Store(true)
		}
	}
	return n, err
}

// Write moves the deadline when half of it has passed, which spares most writes a timer.
func (c *conn) Write(p []byte) (int, error) {
	if c.stall > 0 {
		now := time.Since(c.base)
		if time.Duration(c.until.Load())-now < c.stall/2 {
			c.until.Store(int64(now + c.stall))
			_ = c.Conn.SetWriteDeadline(time.Now().Add(c.stall))
		}
	}
	return c.Conn.Write(p)
}

// SetDeadline and SetWriteDeadline are net/http's, which clears both at a hijack.
func (c *conn) SetDeadline(t time.Time) error {
	c.until.Store(0)
	return c.Conn.SetDeadline(t)
}

// SetWriteDeadline sets a deadline that holds until the next Write moves it.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.until.Store(0)
	return c.Conn.SetWriteDeadline(t)
}

// CloseWrite lets a client read the answer to a request that is not read to its end.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// connOf returns what a listener of ours has accepted.
func connOf(c net.Conn) *conn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	own, _ := c.(*conn)
	return own
}

// isHTTP2 reports whether nc, which is c or TLS over it, speaks HTTP/2.
func (c *conn) isHTTP2(nc net.Conn) bool {
	t, ok := nc.(*tls.Conn)
	return c.h2c.Load() || ok && t.ConnectionState().NegotiatedProtocol == "h2"
}

// watchState is http.Server.ConnState.
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
			// net/http may answer without a handler (an unknown Expect), and waits for the body before it closes. It
			// has no deadline for that. It removes this one before it calls a handler.
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

// serverLog is what net/http says of connections that never got as far as a request.
type serverLog struct{ g *Gateway }

func (l serverLog) Write(line []byte) (int, error) {
	if rest, found := bytes.CutPrefix(line, []byte("http: TLS handshake error from ")); found {
		peer, _, _ := bytes.Cut(rest, []byte(": "))
		host, _, _ := net.SplitHostPort(string(peer))
		l.g.signals.connectionUnparsed(host, "tls_handshake")
	}
	return len(line), nil // a panicking handler is told as such by otelauth, and its value may hold what it was given
}
