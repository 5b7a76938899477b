// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// memory is a sender that calls a handler, with the checks of net/http's server.
type memory struct {
	handler http.Handler
	timeout time.Duration
	maxBody int64
	tls     *tls.ConnectionState // nil: plaintext
	raw     []byte               // the last message; its memory is used again
	reader  *bufio.Reader        // of raw
}

// memoryLine is longer than the longest line of a request, so that it is read without a copy.
const memoryLine = 128 << 10

func newMemory(target *url.URL, c *Config) *memory {
	h := &memory{handler: c.Handler, timeout: c.Timeout, maxBody: c.MaxBodyBytes, reader: bufio.NewReaderSize(nil, memoryLine)}
	if target.Scheme == "https" {
		h.tls = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: target.Hostname()}
	}
	return h
}

func (*memory) close() {}

// memoryClient is the address of requests in memory, from TEST-NET-1 (RFC 5737).
var memoryClient = netip.MustParseAddrPort("192.0.2.1:49152")

func (h *memory) send(ctx context.Context, m *message) (*response, error) {
	h.raw = m.append(h.raw[:0])
	h.reader.Reset(bytes.NewReader(h.raw))
	r, err := http.ReadRequest(h.reader)
	if err != nil || r.ProtoAtLeast(1, 1) && r.Host == "" {
		return &response{
			status: http.StatusBadRequest, proto: "HTTP/1.1", header: http.Header{"Connection": {"close"}},
			body: []byte("400 Bad Request"), client: memoryClient.Addr(),
		}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	r = r.WithContext(ctx)
	r.RemoteAddr, r.TLS = memoryClient.String(), h.tls
	w := &bodyWriter{header: make(http.Header), max: h.maxBody, cancel: cancel}
	done := make(chan error, 1)
	start := time.Now()
	go func() { done <- serve(h.handler, w, r) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done: // the writer canceled, or the handler noticed
		case <-time.After(100 * time.Millisecond):
			h.raw, h.reader = nil, bufio.NewReaderSize(nil, memoryLine) // the handler may still read the others
			return nil, errors.New("no answer in time")
		}
	}
	if err != nil && w.status == 0 {
		return nil, err
	}
	w.WriteHeader(http.StatusOK)
	body := w.body
	if m.method == http.MethodHead {
		body = nil
	}
	return &response{
		status: w.status, proto: "HTTP/1.1", header: w.sent, body: body, cut: w.cut,
		client: memoryClient.Addr(), latency: time.Since(start),
	}, nil
}

// serve calls the handler. A panic is an error, as it ends the connection in net/http's server.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the handler panicked")
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}

// bodyWriter keeps the first bytes of an answer.
type bodyWriter struct {
	header, sent http.Header
	status       int
	body         []byte
	max          int64
	cut          bool
	cancel       func()
}

func (w *bodyWriter) Header() http.Header { return w.header }

func (w *bodyWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status, w.sent = status, w.header.Clone()
	}
}

func (w *bodyWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		if w.header.Get("Content-Type") == "" {
			w.header.Set("Content-Type", http.DetectContentType(p))
		}
		w.WriteHeader(http.StatusOK)
	}
	if room := w.max - int64(len(w.body)); int64(len(p)) > room {
		w.body = append(w.body, p[:room]...)
		w.cut = true
		w.cancel()
		return int(room), fmt.Errorf("probe: the answer is longer than %d bytes: %w", w.max, io.ErrShortWrite)
	}
	w.body = append(w.body, p...)
	return len(p), nil
}

// Flush implements http.Flusher.
func (w *bodyWriter) Flush() { w.WriteHeader(http.StatusOK) }
