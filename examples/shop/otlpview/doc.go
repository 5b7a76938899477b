// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package otlpview is an OTLP/HTTP receiver that keeps the latest spans, events and exemplars in
// memory, and finds them by trace id.
//
//	view := otlpview.New()
//	server := httptest.NewServer(view) // OTEL_EXPORTER_OTLP_ENDPOINT is its URL
//	...
//	story := view.Trace(id)
//
// It replaces backends in a demonstration. It does not authenticate senders and drops the oldest
// data.
package otlpview
