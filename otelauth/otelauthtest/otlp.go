// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauthtest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
)

// OTLP returns all telemetry as the bodies of OTLP/HTTP requests of the real exporters:
// concatenated, uncompressed protobuf. An error means that an exporter refused a batch, for
// example because of a string that is not UTF-8; no collector would receive that batch.
func (r *Recorder) OTLP() ([]byte, error) {
	r.t.Helper()
	ctx := context.Background()
	var body bytes.Buffer
	// It answers like a collector, and nothing is sent.
	receiver := otlpreceiver.New(otlpreceiver.Config{
		Limits: otlpreceiver.Limits{RequestBytes: maxRequestBytes, Records: maxRequestBytes, Messages: maxRequestBytes},
		Sink:   func(e *otlpreceiver.Export) error { body.Write(e.Body); return nil },
	})
	client := &http.Client{Transport: receiver}
	const endpoint = "http://otlp.invalid:4318"

	traces, err := otlptrace.New(ctx, otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL(endpoint+"/v1/traces"), otlptracehttp.WithHTTPClient(client),
		otlptracehttp.WithCompression(otlptracehttp.NoCompression),
		otlptracehttp.WithMaxRequestSize(maxRequestBytes),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}),
	))
	if err == nil {
		if spans := r.spans.GetSpans(); len(spans) > 0 {
			err = traces.ExportSpans(ctx, spans.Snapshots())
		}
		_ = traces.Shutdown(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("otelauthtest: cannot export the spans over OTLP: %w", err)
	}

	meters, err := otlpmetrichttp.New(ctx,
		otlpmetrichttp.WithEndpointURL(endpoint+"/v1/metrics"), otlpmetrichttp.WithHTTPClient(client),
		otlpmetrichttp.WithCompression(otlpmetrichttp.NoCompression),
		otlpmetrichttp.WithMaxRequestSize(maxRequestBytes),
		otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}),
	)
	if err == nil {
		rm := r.collect()
		err = meters.Export(ctx, &rm)
		_ = meters.Shutdown(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("otelauthtest: cannot export the metrics over OTLP: %w", err)
	}

	logs, err := otlploghttp.New(ctx,
		otlploghttp.WithEndpointURL(endpoint+"/v1/logs"), otlploghttp.WithHTTPClient(client),
		otlploghttp.WithCompression(otlploghttp.NoCompression),
		otlploghttp.WithMaxRequestSize(maxRequestBytes),
		otlploghttp.WithRetry(otlploghttp.RetryConfig{}),
	)
	if err == nil {
		if recs := r.logs.records(); len(recs) > 0 {
			err = logs.Export(ctx, recs)
		}
		_ = logs.Shutdown(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("otelauthtest: cannot export the events over OTLP: %w", err)
	}
	return body.Bytes(), nil
}

// maxRequestBytes is more than a test records; the exporters refuse larger requests.
const maxRequestBytes = 1 << 30
