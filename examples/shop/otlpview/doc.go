// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package otlpview is an OTLP/HTTP receiver that keeps the latest spans, events and exemplars in
// memory, and finds them again by trace id.
//
//	view := otlpview.New()
//	server := httptest.NewServer(view) // OTEL_EXPORTER_OTLP_ENDPOINT is its URL
//	...
//	story := view.Trace(id)
//
// It is what a demonstration has in place of backends: it takes protobuf only, authenticates
// nobody, forgets the oldest, and refuses to be reached from another machine.
package otlpview
