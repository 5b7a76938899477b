// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"

	"go.opentelemetry.io/otel/trace"

	"github.com/otelauth/otelauth-go/otelauth/internal/problem"
)

// answer writes the gateway's own answer to r, with the trace id of the server span.
func answer(w http.ResponseWriter, r *http.Request, status int, detail string) {
	id := ""
	if sc := trace.SpanContextFromContext(r.Context()); sc.HasTraceID() {
		id = sc.TraceID().String()
	}
	problem.Write(w, status, detail, id)
}
