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

// body is the body of a client's request. It gives each read a deadline of its own, so that a body may take as long as it
// likes, but not stop; and it hands the trailers on.
type body struct {
	io.ReadCloser
	stall time.Duration

	mu      sync.Mutex               // a Transport may close while it reads
	control *http.ResponseController // nil: reads may take any time
	until   time.Time                // the deadline that is set

	from, to http.Header // trailers

	stalled, failed atomic.Bool
}

// wrap puts x's body round that of r, where there is one.
func (b *body) wrap(x *exchange, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return
	}
	b.ReadCloser = r.Body
	b.from = r.Trailer
	if stall := x.state.cfg.StallTimeout; stall > 0 && !silent(r) {
		b.control, b.stall = http.NewResponseController(x.writer), stall
	}
	r.Body = b
}

// silent reports whether the client may rightly send nothing for long: a stream of messages in both directions.
func silent(r *http.Request) bool {
	return r.ProtoMajor >= 2 && strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// forward has the trailers that are named in to copied there when the body has ended.
func (b *body) forward(to http.Header) {
	if len(to) > 0 {
		b.to = to
	}
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.control != nil {
		if now := time.Now(); b.until.Sub(now) < b.stall/2 {
			b.until = now.Add(b.stall)
			_ = b.control.SetReadDeadline(b.until) // a writer that knows none has no connection to protect
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
		for name := range b.to {
			if values, sent := b.from[name]; sent {
				b.to[name] = values
			}
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.stalled.Store(true)
		return // the deadline stays, and ends the connection
	default:
		b.failed.Store(true)
	}
	b.unbound()
}

// Close reads what is left, as net/http does, within the deadline.
func (b *body) Close() error {
	err := b.ReadCloser.Close()
	if err == nil {
		b.unbound()
	}
	return err
}

// unbound lets reads take any time: the server goes on reading to see whether the client is still there.
func (b *body) unbound() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.control != nil {
		_ = b.control.SetReadDeadline(time.Time{})
		b.control = nil
	}
}
