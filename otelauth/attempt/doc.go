// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package attempt is the data model that every part of otelauth shares: what
// was asked ([Request]), what was decided ([Result]), what the caller got
// ([Response]), and who is told of it ([Observer]).
//
// It knows nothing of HTTP Basic Auth, of HTTP or of OpenTelemetry, and imports
// the standard library only. That is what lets a service that verifies tokens
// or sessions by itself emit the same signals: it fills a Request and a Result
// and hands them to the observers of the spans and metrics packages.
//
// It refuses to carry secrets: no field here holds a password, an
// Authorization value or anything derived from one without a key.
//
//	obs := attempt.Join(spanObserver, metricObserver)
//	ctx = obs.Begin(ctx, &req)
//	res.Outcome = attempt.Success
//	err := obs.Decide(ctx, &req, &res)
//	...
//	obs.End(ctx, &req, &res, &attempt.Response{Status: 200})
package attempt
