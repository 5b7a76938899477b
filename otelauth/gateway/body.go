// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// body is the body of a client's request. Each read has its own deadline, so a body may be slow
// but must not stop. At its end it copies the trailers.
type body struct {
	io.ReadCloser
	stall time.Duration

	mu       sync.Mutex               // a Transport may close while it reads
	control  *http.ResponseController // nil: reads have no deadline
	deadline time.Time

	trailers, forwarded http.Header // the client's, and where they are copied to

	stalled, failed atomic.Bool
}

// wrap replaces the body of r, if it has one.
func (b *body) wrap(x *exchange, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return
	}
	b.ReadCloser = r.Body
	b.trailers = r.Trailer
	if stall := x.state.cfg.StallTimeout; stall > 0 && !mayBeSilent(r) {
		b.control, b.stall = http.NewResponseController(x.writer), stall
	}
	r.Body = b
}

// mayBeSilent reports whether the client may send nothing for a long time: gRPC streams messages
// in both directions.
func mayBeSilent(r *http.Request) bool {
	return r.ProtoMajor >= 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// forward makes b copy the trailers that to names into to when the body has ended.
func (b *body) forward(to http.Header) {
	if len(to) > 0 {
		b.forwarded = to
	}
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.control != nil {
		if now := time.Now(); b.deadline.Sub(now) < b.stall/2 {
			b.deadline = now.Add(b.stall)
			// a writer without deadlines has no connection to protect
			_ = b.control.SetReadDeadline(b.deadline)
		}
	}
	b.mu.Unlock()
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end(err)
	}
	return n, err
}

func (b *body) end(err error) {
	switch {
	case errors.Is(err, io.EOF):
		for name := range b.forwarded {
			if values, sent := b.trailers[name]; sent {
				b.forwarded[name] = values
			}
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.stalled.Store(true)
		return // the deadline remains and ends the connection
	default:
		b.failed.Store(true)
	}
	b.clearDeadline()
}

// Close reads the rest of the body within the deadline, as net/http does.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	if err == nil {
		b.clearDeadline()
	}
	return err
}

// clearDeadline removes the deadline, because the server continues to read to detect whether the
// client is connected.
func (b *body) clearDeadline() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.control != nil {
		_ = b.control.SetReadDeadline(time.Time{})
		b.control = nil
	}
}
