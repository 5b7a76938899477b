// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package attempt is the data model of otelauth: a request ([Request]), the verdict on it
// ([Result]), the response ([Response]), and the observers that record them ([Observer]).
//
// It does not depend on HTTP Basic Auth, on HTTP or on OpenTelemetry, and imports the standard
// library only. A service that verifies tokens or sessions itself can therefore emit the same
// signals: it fills a Request and a Result and passes them to the observers of the spans, metrics
// and audit packages.
//
// No field here holds a password, an Authorization value or anything computed from them without a
// secret key.
//
//	obs := attempt.Join(spanObserver, metricObserver)
//	ctx = obs.Begin(ctx, &req)
//	res.Outcome = attempt.Success
//	err := obs.Decide(ctx, &req, &res)
//	...
//	obs.End(ctx, &req, &res, &attempt.Response{Status: 200})
package attempt
