// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/json"
	"net/http"

	"go.opentelemetry.io/otel/trace"
)

// answer is the gateway's own answer, a problem document of RFC 9457 like those of otelauth.
func answer(w http.ResponseWriter, r *http.Request, status int, detail string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	problem := struct {
		Title   string `json:"title"`
		Status  int    `json:"status"`
		Detail  string `json:"detail"`
		TraceID string `json:"trace_id,omitempty"`
	}{Title: http.StatusText(status), Status: status, Detail: detail}
	if sc := trace.SpanContextFromContext(r.Context()); sc.HasTraceID() {
		problem.TraceID = sc.TraceID().String()
	}
	body, err := json.Marshal(problem)
	if err != nil {
		return // strings and an int always marshal
	}
	_, _ = w.Write(append(body, '\n'))
}
