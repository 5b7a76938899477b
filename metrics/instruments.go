// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"errors"

	"go.opentelemetry.io/otel/metric"

	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// instruments has an instrument for each metric. Their names, units and descriptions are those of
// the registry.
type instruments struct {
	attempts        metric.Int64Counter
	attemptDuration metric.Float64Histogram
	verifyDuration  metric.Float64Histogram
	verifyRejected  metric.Int64Counter
	cacheLookups    metric.Int64Counter
	reloads         metric.Int64Counter
	public          metric.Int64Counter
	denied          metric.Int64Counter
	suppressed      metric.Int64Counter
	previous        metric.Int64Counter
	coverage        metric.Int64Counter

	verifyActive    metric.Int64ObservableUpDownCounter
	verifyQueued    metric.Int64ObservableUpDownCounter
	cacheEntries    metric.Int64ObservableUpDownCounter
	throttleEntries metric.Int64ObservableUpDownCounter
	accounts        metric.Int64ObservableUpDownCounter
}

func newInstruments(meter metric.Meter) (i instruments, err error) {
	var errs []error
	counter := func(name string) metric.Int64Counter {
		c, err := meter.Int64Counter(name,
			metric.WithUnit(semconv.Unit(name)), metric.WithDescription(semconv.Description(name)))
		errs = append(errs, err)
		return c
	}
	histogram := func(name string, boundaries []float64) metric.Float64Histogram {
		h, err := meter.Float64Histogram(name,
			metric.WithUnit(semconv.Unit(name)), metric.WithDescription(semconv.Description(name)),
			metric.WithExplicitBucketBoundaries(boundaries...))
		errs = append(errs, err)
		return h
	}
	observed := func(name string) metric.Int64ObservableUpDownCounter {
		c, err := meter.Int64ObservableUpDownCounter(name,
			metric.WithUnit(semconv.Unit(name)), metric.WithDescription(semconv.Description(name)))
		errs = append(errs, err)
		return c
	}
	i = instruments{
		attempts:        counter(semconv.MetricAttempts),
		attemptDuration: histogram(semconv.MetricAttemptDuration, attemptBoundaries()),
		verifyDuration:  histogram(semconv.MetricPasswordVerifyDuration, verifyBoundaries()),
		verifyRejected:  counter(semconv.MetricPasswordVerifyRejected),
		cacheLookups:    counter(semconv.MetricCacheLookups),
		reloads:         counter(semconv.MetricAccountReloads),
		public:          counter(semconv.MetricPublicResponses),
		denied:          counter(semconv.MetricResponsesDenied),
		suppressed:      counter(semconv.MetricEventsSuppressed),
		previous:        counter(semconv.MetricPreviousCredentialsUses),
		coverage:        counter(semconv.MetricCoverageRoutes),

		verifyActive:    observed(semconv.MetricPasswordVerifyActive),
		verifyQueued:    observed(semconv.MetricPasswordVerifyQueued),
		cacheEntries:    observed(semconv.MetricCacheEntryCount),
		throttleEntries: observed(semconv.MetricThrottleEntryCount),
		accounts:        observed(semconv.MetricAccountCount),
	}
	return i, errors.Join(errs...)
}

// attemptBoundaries returns the boundaries of auth.attempt.duration in seconds. A recognised
// credential takes microseconds, a password hash tens of milliseconds, a queue seconds.
func attemptBoundaries() []float64 {
	return []float64{
		1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3,
		5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10,
	}
}

// verifyBoundaries returns the boundaries of auth.password.verify.duration in seconds. bcrypt at
// cost 10 takes about 0.06.
func verifyBoundaries() []float64 {
	return []float64{
		1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 0.75, 1, 2.5, 5, 10,
	}
}
