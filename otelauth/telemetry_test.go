// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelauth/otelauth-go/otelauth"
)

// sink is the collector of an exporter: it hangs until it is released, or it is not there.
type sink struct {
	hangs chan struct{} // nil: fails at once
}

var errCollector = errors.New("dial tcp: connection refused")

func (s sink) take() error {
	if s.hangs != nil {
		<-s.hangs
	}
	return errCollector
}

type (
	spanSink struct{ sink }
	logSink  struct{ sink }
	// metricSink is called repeatedly.
	metricSink struct{ sink }
)

func (s spanSink) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return s.take() }
func (s spanSink) Shutdown(context.Context) error                             { return nil }

func (s logSink) Export(context.Context, []sdklog.Record) error { return s.take() }
func (s logSink) Shutdown(context.Context) error                { return nil }
func (s logSink) ForceFlush(context.Context) error              { return nil }

func (s metricSink) Export(context.Context, *metricdata.ResourceMetrics) error { return s.take() }
func (s metricSink) Shutdown(context.Context) error                            { return nil }
func (s metricSink) ForceFlush(context.Context) error                          { return nil }
func (s metricSink) Temporality(sdkmetric.InstrumentKind) metricdata.Temporality {
	return metricdata.CumulativeTemporality
}

func (s metricSink) Aggregation(k sdkmetric.InstrumentKind) sdkmetric.Aggregation {
	return sdkmetric.DefaultAggregationSelector(k)
}

// Invariant 2: exporters that hang or fail, with full queues, neither block nor change an
// authentication, and neither does an SDK that was shut down.
func TestTelemetryNeverDecides(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ hangs, shutdown bool }{
		"collector hangs":        {hangs: true},
		"collector is not there": {},
		"SDK was shut down":      {shutdown: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s sink
			if tc.hangs {
				s.hangs = make(chan struct{})
			}
			traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spanSink{s}, sdktrace.WithMaxQueueSize(4),
				sdktrace.WithMaxExportBatchSize(2), sdktrace.WithBatchTimeout(time.Millisecond)))
			meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(metricSink{s},
				sdkmetric.WithInterval(time.Millisecond))))
			logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(logSink{s}, sdklog.WithMaxQueueSize(4),
				sdklog.WithExportMaxBatchSize(2), sdklog.WithExportInterval(time.Millisecond))))
			end := func() {
				ctx := context.Background()
				_, _, _ = traces.Shutdown(ctx), meters.Shutdown(ctx), logs.Shutdown(ctx)
			}
			mux := ordersMux()
			mw := newMiddleware(t, otelauth.Config{Routes: mux, TracerProvider: traces, MeterProvider: meters, LoggerProvider: logs})
			handler := otelhttp.NewHandler(mw.Wrap(mux), "orders", otelhttp.WithTracerProvider(traces), otelhttp.WithMeterProvider(meters),
				otelhttp.WithPublicEndpointFn(mw.Untrusted))
			if tc.shutdown {
				end()
			} else {
				t.Cleanup(func() {
					if s.hangs != nil {
						close(s.hangs)
					}
					end()
				})
			}
			// Far more than the queues hold. The test is that this loop ends.
			for range 200 {
				for pass, status := range map[string]int{"wonderland": http.StatusOK, "looking-glass": http.StatusUnauthorized} {
					w := &discardStatus{header: http.Header{}, status: http.StatusOK}
					handler.ServeHTTP(w, request(t, "GET", "/orders", "alice", pass))
					if w.status != status {
						t.Fatalf("status %d, want %d", w.status, status)
					}
				}
			}
		})
	}
}
