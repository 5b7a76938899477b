// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package otelauth_test

import (
	"context"
	"net/http"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
	"github.com/otelauth/otelauth-go/spans"
)

// discard is a ResponseWriter without cost.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// dropped is a log exporter that drops every record.
type dropped struct{}

func (dropped) Export(context.Context, []sdklog.Record) error { return nil }
func (dropped) Shutdown(context.Context) error                { return nil }
func (dropped) ForceFlush(context.Context) error              { return nil }

type bench struct {
	traces *sdktrace.TracerProvider
	meters metric.MeterProvider
}

func newBench(sample bool) bench {
	sampler := sdktrace.NeverSample()
	if sample {
		sampler = sdktrace.AlwaysSample()
	}
	return bench{
		traces: sdktrace.NewTracerProvider(sdktrace.WithSampler(sampler)),
		meters: sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader())),
	}
}

func (b bench) otelhttp(h http.Handler) http.Handler {
	return otelhttp.NewHandler(h, "bench", otelhttp.WithTracerProvider(b.traces), otelhttp.WithMeterProvider(b.meters))
}

func serve(b *testing.B, h http.Handler) {
	b.Helper()
	w := &discard{header: http.Header{}}
	r := request(b, "GET", "/orders", "alice", "wonderland")
	h.ServeHTTP(w, r) // fill the cache
	b.ReportAllocs()
	for b.Loop() {
		r.Pattern = ""
		h.ServeHTTP(w, r)
	}
}

func benchMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	return mux
}

func BenchmarkBasicAuth(b *testing.B) {
	r := request(b, "GET", "/orders", "alice", "wonderland")
	b.ReportAllocs()
	for b.Loop() {
		if _, _, ok := r.BasicAuth(); !ok {
			b.Fatal("refused")
		}
	}
}

func benchmarkAuthenticate(b *testing.B, observers ...attempt.Observer) {
	mw := newMiddleware(b, otelauth.Config{Observers: append([]attempt.Observer{}, observers...)})
	r := request(b, "GET", "/orders", "alice", "wonderland")
	mw.Authenticate(r)
	b.ReportAllocs()
	for b.Loop() {
		if u, _ := mw.Authenticate(r); u.Name != "alice" {
			b.Fatal("refused")
		}
	}
}

func BenchmarkAuthenticate(b *testing.B) { benchmarkAuthenticate(b) }

func BenchmarkAuthenticateMetrics(b *testing.B) {
	m, err := metrics.New(metrics.Config{MeterProvider: newBench(true).meters})
	if err != nil {
		b.Fatal(err)
	}
	benchmarkAuthenticate(b, m)
}

func BenchmarkOtelhttp(b *testing.B) {
	for name, sample := range map[string]bool{"sampled": true, "unsampled": false} {
		b.Run(name, func(b *testing.B) { serve(b, newBench(sample).otelhttp(benchMux())) })
	}
}

func BenchmarkMiddleware(b *testing.B) {
	for name, sample := range map[string]bool{"sampled": true, "unsampled": false} {
		b.Run(name, func(b *testing.B) {
			env := newBench(sample)
			s, _ := spans.New(spans.Config{TracerProvider: env.traces})
			m, _ := metrics.New(metrics.Config{MeterProvider: env.meters})
			mux := benchMux()
			mw := newMiddleware(b, otelauth.Config{Routes: mux, Observers: []attempt.Observer{s, m}})
			serve(b, env.otelhttp(mw.Wrap(mux)))
		})
		b.Run(name+"/event", func(b *testing.B) {
			env := newBench(sample)
			logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(dropped{})), sdklog.WithAllowKeyDuplication())
			defer func() { _ = logs.Shutdown(context.Background()) }()
			s, _ := spans.New(spans.Config{TracerProvider: env.traces})
			m, _ := metrics.New(metrics.Config{MeterProvider: env.meters})
			a, _ := audit.New(audit.Config{LoggerProvider: logs})
			mux := benchMux()
			mw := newMiddleware(b, otelauth.Config{Routes: mux, Observers: []attempt.Observer{s, m, a}})
			serve(b, env.otelhttp(mw.Wrap(mux)))
		})
	}
}
