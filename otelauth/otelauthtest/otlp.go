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
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/otelauth/otelauth-go/internal/otlpreceiver"
)

// OTLP returns all telemetry as the bodies of OTLP/HTTP requests of the real exporters:
// concatenated, uncompressed protobuf. An error means that an exporter refused a batch, for
// example because of a string that is not UTF-8; no collector would receive that batch.
func (r *Recorder) OTLP() ([]byte, error) {
	r.t.Helper()
	var body bytes.Buffer
	err := r.export(r.spans.GetSpans(), r.logs.records(), func(e *otlpreceiver.Export) error { body.Write(e.Body); return nil })
	if err != nil {
		return nil, err
	}
	return body.Bytes(), nil
}

// export sends spans, all metrics and records through the real exporters to sink. Nothing leaves
// the process.
func (r *Recorder) export(spans tracetest.SpanStubs, records []sdklog.Record, sink func(*otlpreceiver.Export) error) error {
	r.t.Helper()
	ctx := context.Background()
	client := &http.Client{Transport: otlpreceiver.New(otlpreceiver.Config{
		Limits: otlpreceiver.Limits{RequestBytes: maxRequestBytes, Records: maxRequestBytes, Messages: maxRequestBytes}, Sink: sink,
	})}
	const endpoint = "http://otlp.invalid:4318"

	traces, err := otlptrace.New(ctx, otlptracehttp.NewClient(
		otlptracehttp.WithEndpointURL(endpoint+"/v1/traces"), otlptracehttp.WithHTTPClient(client),
		otlptracehttp.WithCompression(otlptracehttp.NoCompression),
		otlptracehttp.WithMaxRequestSize(maxRequestBytes),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}),
	))
	if err == nil {
		if len(spans) > 0 {
			err = traces.ExportSpans(ctx, spans.Snapshots())
		}
		_ = traces.Shutdown(ctx)
	}
	if err != nil {
		return fmt.Errorf("otelauthtest: cannot export the spans over OTLP: %w", err)
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
		return fmt.Errorf("otelauthtest: cannot export the metrics over OTLP: %w", err)
	}

	logs, err := otlploghttp.New(ctx,
		otlploghttp.WithEndpointURL(endpoint+"/v1/logs"), otlploghttp.WithHTTPClient(client),
		otlploghttp.WithCompression(otlploghttp.NoCompression),
		otlploghttp.WithMaxRequestSize(maxRequestBytes),
		otlploghttp.WithRetry(otlploghttp.RetryConfig{}),
	)
	if err == nil {
		if len(records) > 0 {
			err = logs.Export(ctx, records)
		}
		_ = logs.Shutdown(ctx)
	}
	if err != nil {
		return fmt.Errorf("otelauthtest: cannot export the events over OTLP: %w", err)
	}
	return nil
}

// maxRequestBytes is more than a test records; the exporters refuse larger requests.
const maxRequestBytes = 1 << 30
