// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gin

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/gin-gonic/gin"
)

// writer writes through the writer of otelauth, which records the status. gin reads the result
// from the embedded writer.
type writer struct {
	gin.ResponseWriter
	seen     http.ResponseWriter
	recorded bool
}

// WriteHeaderNow writes the final status of gin, which may change until then.
func (w *writer) WriteHeaderNow() {
	if !w.recorded {
		w.recorded = true
		w.seen.WriteHeader(w.Status())
	}
	w.ResponseWriter.WriteHeaderNow()
}

func (w *writer) Write(b []byte) (int, error) {
	w.WriteHeaderNow()
	return w.seen.Write(b)
}

func (w *writer) WriteString(s string) (int, error) {
	w.WriteHeaderNow()
	return io.WriteString(w.seen, s)
}

func (w *writer) Flush() {
	w.WriteHeaderNow()
	_ = http.NewResponseController(w.seen).Flush()
}

func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.seen).Hijack()
}

func (w *writer) Unwrap() http.ResponseWriter { return w.seen }
