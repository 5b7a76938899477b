// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"strconv"
)

// nginxWriter says with 401 and 403 what nginx would make a 500 of. It stands outside of everything that tells, so that signals have the
// true status.
type nginxWriter struct {
	http.ResponseWriter
	x       *exchange
	written bool
}

// WriteHeader moves the true status into a header.
func (w *nginxWriter) WriteHeader(status int) {
	if w.written || status < 200 {
		return
	}
	w.written = true
	if status >= 300 {
		header := w.Header()
		header[HeaderStatus] = []string{strconv.Itoa(status)}
		if after := header["Retry-After"]; after != nil {
			header[HeaderRetryAfter] = after
		}
		if w.x.trace.IsValid() {
			header[HeaderTraceID] = []string{w.x.trace.String()}
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

// Unwrap serves http.ResponseController.
func (w *nginxWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
