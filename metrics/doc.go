// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package metrics counts authentication attempts per endpoint and times them.
//
// It observes an [attempt.Request] and does not depend on HTTP Basic Auth: a service that
// verifies tokens itself emits the same metrics. No request creates a time series: user names,
// paths, addresses and reasons never appear on a metric, methods are the known ones or _OTHER,
// and routes beyond [MaxRoutes] count under the route _OTHER.
//
//	obs, err := metrics.New(metrics.Config{})
//	err = obs.Decide(ctx, &req, &res)
//	obs.End(ctx, &req, &res, &attempt.Response{Status: 200, Handler: true})
//
// docs/signals.md lists the instruments and their attributes. An attribute that is unknown or
// does not apply is left out. The updowncounters are observed: [Observer.Watch] reads them from
// the verifier when metrics are collected, so they cannot drift, and those of several verifiers
// add up.
//
// auth.previous_credentials.uses counts only successes. An expired previous password must count
// as any failure, because a public /metrics would otherwise confirm it to a guesser.
//
// auth.events.suppressed needs [Observer.Suppressed] in the configuration of the observer that
// folds events.
//
// Counters and histograms are recorded in the context of the auth span, so exemplars lead from a
// series to a trace. The 401 and 403 of handlers are recorded in the context of the server span.
package metrics
