// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"syscall"
	"time"
)

// response is an answer as it was received.
type response struct {
	status int
	proto  string
	header http.Header
	body   []byte // at most Config.MaxBodyBytes
	cut    bool   // the body is longer, or did not end in time
	client netip.Addr
	// latency is the time from the last byte sent to the first byte received.
	latency time.Duration
}

// sender sends one message and reads the answer. A sender is used by one goroutine at a time.
type sender interface {
	send(ctx context.Context, m *message) (*response, error)
	close()
}

// maxHeaderBytes bounds the header of an answer.
const maxHeaderBytes = 1 << 20

// maxIdle is the age at which a kept connection is not used again. The target might close it at
// the same time, and the attempt would have to be repeated.
const maxIdle = 500 * time.Millisecond

// wire is a sender over the network: HTTP/1.1 on one connection, byte for byte.
type wire struct {
	address string // host:port
	tls     *tls.Config
	timeout time.Duration
	maxBody int64

	raw    []byte // the last message; its memory is used again
	conn   net.Conn
	limit  *io.LimitedReader
	reader *bufio.Reader
	idle   time.Time
}

// newWire returns a sender for the target.
func newWire(target *url.URL, c *Config) *wire {
	w := &wire{address: target.Host, timeout: c.Timeout, maxBody: c.MaxBodyBytes}
	port := "80"
	if target.Scheme == "https" {
		port = "443"
		if c.TLS != nil {
			w.tls = c.TLS.Clone()
		} else {
			w.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		if w.tls.ServerName == "" {
			w.tls.ServerName = target.Hostname()
		}
		w.tls.NextProtos = []string{"http/1.1"}
	}
	if target.Port() == "" {
		w.address = net.JoinHostPort(target.Hostname(), port)
	}
	return w
}

func (w *wire) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// connect dials if there is no connection that can be used again.
func (w *wire) connect(ctx context.Context) (kept bool, err error) {
	if w.conn != nil && time.Since(w.idle) < maxIdle {
		return true, nil
	}
	w.close()
	d := net.Dialer{Timeout: w.timeout}
	conn, err := d.DialContext(ctx, "tcp", w.address)
	if err != nil {
		return false, err
	}
	if w.tls != nil {
		secure := tls.Client(conn, w.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return false, err
		}
		conn = secure
	}
	w.conn = conn
	w.limit = &io.LimitedReader{R: conn}
	w.reader = bufio.NewReader(w.limit)
	return false, nil
}

// send sends the message once. It repeats it only if a kept connection ends before the first byte of the
// answer, and only if the method is safe.
func (w *wire) send(ctx context.Context, m *message) (*response, error) {
	w.raw = m.append(w.raw[:0])
	if !isSafe(m.method) {
		w.close()
	}
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	kept, err := w.connect(ctx)
	if err != nil {
		return nil, plainError(ctx, err)
	}
	res, err := w.exchange(ctx, m)
	if err != nil && kept && !errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		w.close()
		if _, err = w.connect(ctx); err == nil {
			res, err = w.exchange(ctx, m)
		}
	}
	if err != nil {
		w.close()
		return nil, plainError(ctx, err)
	}
	return res, nil
}

func (w *wire) exchange(ctx context.Context, m *message) (*response, error) {
	conn := w.conn
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	w.limit.N = maxHeaderBytes
	_, writeErr := conn.Write(w.raw) // the target may answer before it has read everything
	sent := time.Now()
	if _, err := w.reader.Peek(1); err != nil {
		return nil, errors.Join(err, writeErr)
	}
	res := &response{latency: time.Since(sent)}
	if local, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil {
		res.client = local.Addr().Unmap()
	}
	answer, err := w.final(m)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	res.status, res.header, res.proto = answer.StatusCode, answer.Header, answer.Proto
	w.limit.N = w.maxBody + 64<<10 // chunks and trailers
	res.body, err = io.ReadAll(io.LimitReader(answer.Body, w.maxBody+1))
	if int64(len(res.body)) > w.maxBody {
		res.body, res.cut = res.body[:w.maxBody], true
	}
	if err != nil {
		res.cut = true
	}
	if w.idle = time.Now(); res.cut || answer.Close || writeErr != nil || answer.StatusCode < 200 || w.reader.Buffered() > 0 {
		w.close()
	}
	return res, nil
}

// final returns the answer behind informational ones (RFC 9110, section 15.2).
func (w *wire) final(m *message) (*http.Response, error) {
	method := m.method
	for range 6 {
		answer, err := http.ReadResponse(w.reader, &http.Request{Method: method})
		if err != nil {
			return nil, err
		}
		if answer.StatusCode >= 200 || answer.StatusCode == http.StatusSwitchingProtocols {
			return answer, nil
		}
		_ = answer.Body.Close()
	}
	return nil, errors.New("only informational answers")
}

// errNotReachable is the error of a target that cannot be connected to.
var errNotReachable = errors.New("cannot connect")

// plainError returns an error of the network in words, without addresses and secrets.
func plainError(ctx context.Context, err error) error {
	var verify *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var header tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &verify), errors.As(err, &unknown):
		return fmt.Errorf("%w: the certificate of the target is not valid: %w; name its authority with --ca-file", errNotReachable, err)
	case errors.As(err, &header):
		return fmt.Errorf("%w: the target does not use TLS on this port", errNotReachable)
	case errors.Is(err, context.Canceled), errors.Is(ctx.Err(), context.Canceled):
		return context.Canceled
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: the connection was refused; is the service running?", errNotReachable)
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("%w: %w", errNotReachable, err)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("the target reset the connection")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the target closed the connection without an answer, or its header is too large")
	}
	return fmt.Errorf("the answer is not HTTP/1.1: %w", err)
}
