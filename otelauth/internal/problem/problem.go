// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package problem writes problem documents (RFC 9457), the bodies of every answer that otelauth
// gives itself.
package problem

import (
	"encoding/json"
	"net/http"
)

// MediaType is the media type of a problem document.
const MediaType = "application/problem+json"

// Write answers with a problem document that no cache may store. traceID is the id that a caller
// quotes when it asks for help, or "" without a trace.
func Write(w http.ResponseWriter, status int, detail, traceID string) {
	w.Header().Set("Content-Type", MediaType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	body, err := json.Marshal(struct {
		Title   string `json:"title"`
		Status  int    `json:"status"`
		Detail  string `json:"detail"`
		TraceID string `json:"trace_id,omitempty"`
	}{http.StatusText(status), status, detail, traceID})
	if err != nil {
		return // strings and an int always marshal
	}
	_, _ = w.Write(append(body, '\n'))
}
