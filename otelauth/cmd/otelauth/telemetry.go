// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/telemetry"
)

// flushWait is the timeout of the last export.
const flushWait = 5 * time.Second

// signals holds the telemetry providers of the process.
type signals struct{ *telemetry.Providers }

// newSignals returns the providers that the OTEL_ variables and the flags configure. Without an
// exporter, events are JSON lines on w.
func newSignals(ctx context.Context, getenv func(string) string, f *gatewayFlags, w io.Writer) (*signals, error) {
	if err := checkTelemetryVariables(getenv); err != nil {
		return nil, usageError{err}
	}
	telemetry.HandleErrors(w)
	p, err := telemetry.New(ctx, telemetry.Config{
		Service: "otelauth-gateway", Version: version(), Lines: w, Getenv: getenv,
		SpanValueLength: f.SpanValueLength, SpanBatch: f.SpanBatch,
	})
	if err != nil {
		return nil, usageError{err}
	}
	return &signals{p}, nil
}

// close exports what is pending, within flushWait.
func (s *signals) close() {
	ctx, cancel := context.WithTimeout(context.Background(), flushWait)
	defer cancel()
	_ = s.Shutdown(ctx) // the error handler reports it
}
