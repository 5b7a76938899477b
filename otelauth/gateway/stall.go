// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"time"
)

// streamWriter gives each write to an HTTP/2 stream a deadline of its own, as conn does for connections: a client that opens no window
// lets the connection be written to and the stream wait for ever, with its connection to the upstream.
type streamWriter struct {
	http.ResponseWriter
	x     *exchange
	stall time.Duration
	timer *time.Timer
}

// Unwrap is for http.ResponseController.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *streamWriter) Write(p []byte) (int, error) {
	w.begin()
	defer w.timer.Stop()
	return w.ResponseWriter.Write(p)
}

// Flush is FlushError for those who look for a http.Flusher.
func (w *streamWriter) Flush() { _ = w.FlushError() }

// FlushError waits for the client's window too.
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

// expire resets the stream. Under the lock it cannot have ended.
func (w *streamWriter) expire() {
	l := w.x.list
	l.mu.Lock()
	defer l.mu.Unlock()
	if !w.x.gone {
		_ = http.NewResponseController(w.x.writer).SetWriteDeadline(time.Now())
	}
}

// last bounds what net/http still writes when the handler has returned.
func (w *streamWriter) last() {
	_ = http.NewResponseController(w.x.writer).SetWriteDeadline(time.Now().Add(w.stall))
}
