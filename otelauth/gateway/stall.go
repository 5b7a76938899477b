// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"time"
)

// streamWriter gives each write to an HTTP/2 stream its own deadline, as conn does for
// connections. A client that grants no flow-control window would otherwise block the stream, and
// its connection to the upstream, for ever.
type streamWriter struct {
	http.ResponseWriter
	x     *exchange
	stall time.Duration
	timer *time.Timer
}

// Unwrap returns the wrapped writer for http.ResponseController.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *streamWriter) Write(p []byte) (int, error) {
	w.begin()
	defer w.timer.Stop()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *streamWriter) Flush() { _ = w.FlushError() }

// FlushError flushes with the deadline of a write, because it waits for the client's window too.
func (w *streamWriter) FlushError() error {
	w.begin()
	defer w.timer.Stop()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *streamWriter) begin() {
	if w.timer == nil {
		w.timer = time.AfterFunc(w.stall, w.expire)
		return
	}
	w.timer.Reset(w.stall)
}

// expire resets the stream. While the lock is held the stream cannot end by itself.
func (w *streamWriter) expire() {
	l := w.x.list
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.x.removed {
		_ = http.NewResponseController(w.x.writer).SetWriteDeadline(time.Now())
	}
}

// setFinalDeadline limits what net/http writes after the handler has returned.
func (w *streamWriter) setFinalDeadline() {
	_ = http.NewResponseController(w.x.writer).SetWriteDeadline(time.Now().Add(w.stall))
}
