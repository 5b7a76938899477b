// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"strconv"
)

// nginxWriter maps every denial to 401 or 403, because nginx's auth_request turns any other
// status into a 500. It wraps the instrumented handler, so telemetry still records the original
// status.
type nginxWriter struct {
	http.ResponseWriter
	x       *exchange
	written bool
}

// WriteHeader copies the original status into a header.
func (w *nginxWriter) WriteHeader(status int) {
	if w.written || status < 200 {
		return
	}
	w.written = true
	if status >= 300 {
		header := w.Header()
		header[headerStatus] = []string{strconv.Itoa(status)}
		if after := header["Retry-After"]; after != nil {
			header[headerRetryAfter] = after
		}
		if w.x.trace.IsValid() {
			header[headerTraceID] = []string{w.x.trace.String()}
		}
		if status != http.StatusUnauthorized {
			status = http.StatusForbidden
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *nginxWriter) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// Unwrap returns the wrapped writer for http.ResponseController.
func (w *nginxWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
