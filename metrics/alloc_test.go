// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

func sdk() metric.MeterProvider {
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))
}

// Not parallel: AllocsPerRun counts the whole process.
func TestAllocations(t *testing.T) {
	if testkit.Race {
		return
	}
	ctx := context.Background()
	for name, mp := range map[string]metric.MeterProvider{"SDK": sdk(), "no-op": noop.NewMeterProvider()} {
		o := newObserver(t, metrics.Config{MeterProvider: mp})
		req := request()
		for what, res := range map[string]attempt.Result{
			"success": {Outcome: attempt.Success, Cache: attempt.Hit, Duration: time.Microsecond},
			"failure": {
				Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials, Cache: attempt.Miss, Duration: time.Second,
				Hash: attempt.HashRun{Scheme: "bcrypt", Duration: time.Second, Outcome: attempt.Failure},
			},
			"overloaded": {Outcome: attempt.Error, ErrorType: attempt.Overloaded, Cache: attempt.Miss},
		} {
			resp := attempt.Response{Status: 403, Handler: true}
			if n := testing.AllocsPerRun(200, func() {
				_ = o.Decide(o.Begin(ctx, &req), &req, &res)
				o.End(ctx, &req, &res, &resp)
				o.Anonymous(ctx, &req, &resp)
			}); n != 0 {
				t.Errorf("%s, %s: %v allocations, want 0", name, what, n)
			}
		}
	}
}

// BenchmarkDecide pairs the observer with the same counter and histogram used by hand.
func BenchmarkDecide(b *testing.B) {
	ctx := context.Background()
	mp := sdk()
	b.Run("bare/WithAttributes", func(b *testing.B) {
		m := mp.Meter("bare")
		c, _ := m.Int64Counter("c")
		h, _ := m.Float64Histogram("h")
		b.ReportAllocs()
		for b.Loop() {
			c.Add(ctx, 1, metric.WithAttributes(attribute.String("auth.scheme", "basic"), attribute.String("auth.outcome", "success"),
				attribute.String("http.route", "/orders/{id}"), attribute.String("http.request.method", "GET")))
			h.Record(ctx, 1e-6, metric.WithAttributes(attribute.String("auth.scheme", "basic"), attribute.String("auth.outcome", "success")))
		}
	})
	b.Run("bare/prepared", func(b *testing.B) {
		m := mp.Meter("prepared")
		c, _ := m.Int64Counter("c")
		h, _ := m.Float64Histogram("h")
		add := []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("auth.scheme", "basic")))}
		rec := []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("auth.scheme", "basic")))}
		b.ReportAllocs()
		for b.Loop() {
			c.Add(ctx, 1, add...)
			h.Record(ctx, 1e-6, rec...)
		}
	})
	for name, mp := range map[string]metric.MeterProvider{"SDK": mp, "noop": noop.NewMeterProvider()} {
		o := newObserver(b, metrics.Config{MeterProvider: mp})
		req := request()
		for what, cache := range map[string]attempt.CacheResult{"counter and histogram": attempt.NotLooked, "and cache lookup": attempt.Hit} {
			res := attempt.Result{Outcome: attempt.Success, Cache: cache, Duration: time.Microsecond}
			b.Run("ours/"+name+"/"+what, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_ = o.Decide(ctx, &req, &res)
				}
			})
		}
	}
}
