// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package metrics_test

import (
	"context"
	"fmt"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelauth/otelauth-go/metrics"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit"
)

func ExampleNew() {
	// a real service configures an OTLP or Prometheus exporter
	reader := sdkmetric.NewManualReader()
	obs, err := metrics.New(metrics.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))})
	if err != nil {
		fmt.Println(err)
		return
	}

	ctx := context.Background()
	fmt.Println("counts:", obs.Enabled(ctx))
	_ = audit.Events{Suppressed: obs.Suppressed} // counts the events that audit folds
	req := attempt.Request{Context: ctx, Time: time.Now(), Scheme: attempt.SchemeBearer, Route: "/orders", Method: "GET"}
	for range 3 {
		_ = obs.Decide(ctx, &req, &attempt.Result{Outcome: attempt.Failure, ErrorType: attempt.InvalidCredentials})
	}

	var collected metricdata.ResourceMetrics
	if err := reader.Collect(ctx, &collected); err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range collected.ScopeMetrics[0].Metrics {
		if sum, ok := m.Data.(metricdata.Sum[int64]); ok {
			for _, point := range sum.DataPoints {
				fmt.Print(m.Name, " ", point.Value)
				for _, kv := range point.Attributes.ToSlice() {
					fmt.Print(" ", kv.Key, "=", kv.Value.String())
				}
				fmt.Println()
			}
		}
	}
	// Output:
	// counts: true
	// auth.attempts 3 auth.outcome=failure auth.scheme=bearer error.type=invalid_credentials http.request.method=GET http.route=/orders
	// auth.password.verify.rejected 0 error.type=overloaded
	// auth.account.reloads 0
}
