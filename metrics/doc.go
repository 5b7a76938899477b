// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package metrics counts authentication attempts per endpoint and times them.
//
// It observes an [attempt.Request] and knows nothing of HTTP Basic Auth: a service that verifies tokens by
// itself emits the same metrics. It refuses to let a client mint a time series: user names, paths, addresses and
// reasons never stand on a metric, methods are the known ones or _OTHER, and beyond [MaxRoutes] routes the rest
// are counted under the route _OTHER.
//
//	obs, err := metrics.New(metrics.Config{})
//	err = obs.Decide(ctx, &req, &res)
//	obs.End(ctx, &req, &res, &attempt.Response{Status: 200, Handler: true})
//
// # Instruments
//
//	auth.attempts                  counter        {attempt}       auth.scheme auth.outcome error.type http.route http.request.method
//	auth.attempt.duration          histogram      s               auth.scheme auth.outcome auth.cache.result
//	auth.password.verify.duration  histogram      s               auth.password.scheme auth.outcome
//	auth.password.verify.active    updowncounter  {verification}
//	auth.password.verify.queued    updowncounter  {verification}
//	auth.password.verify.rejected  counter        {verification}  error.type
//	auth.cache.lookups             counter        {lookup}        auth.cache.result
//	auth.cache.entry.count         updowncounter  {entry}
//	auth.throttle.entry.count      updowncounter  {entry}
//	auth.account.count             updowncounter  {account}
//	auth.account.reloads           counter        {reload}        error.type when it failed
//	auth.public.responses          counter        {response}      http.route http.response.status_code
//	auth.responses.denied          counter        {response}      http.route http.response.status_code
//	auth.former_credentials.uses   counter        {attempt}       http.route
//	auth.events.suppressed         counter        {event}         auth.outcome of attempts
//
// An attribute that is not known, or does not apply, is left out. The updowncounters are observed: they are read
// from the verifier ([Observer.Watch]) when metrics are collected, so they cannot drift, and those of several verifiers add up.
//
// auth.password.verify.rejected counts the attempts that needed a password hash and got none: the queue was full
// or the wait in it too long (overloaded), or the caller's deadline passed (timeout) or the caller went away
// (canceled) before it ran.
//
// auth.former_credentials.uses counts the successes with an account's former password, which is accepted for a bounded time after it was
// changed: when it stands still, every client has the new one. The event says who. A former password that is no longer accepted is
// counted nowhere but as a failure, or a public /metrics would confirm it to a guesser.
//
// auth.account.reloads without error.type and auth.password.verify.rejected with overloaded are there from the start, at
// 0, so that rate() sees the first one.
//
// auth.events.suppressed is counted when the event that stands for them is told, so it is behind auth.attempts by up to
// a period ([Observer.Suppressed] has to be wired to whoever folds events).
//
// Counters and histograms are recorded in the context of the auth span, so exemplars lead from a series to
// a trace. The handler's own 401 and 403 are recorded in that of the server span.
package metrics
