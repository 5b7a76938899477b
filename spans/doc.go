// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package spans puts every authentication attempt into a trace: one span
// "authenticate basic" around the verification, a child "verify password" where a
// password hash really ran, and the outcome, the user and the client on the server span too, so
// that one search finds them.
//
// It observes an [attempt.Request] and knows nothing of HTTP Basic Auth: a service that verifies
// tokens by itself emits the same spans. It refuses to start a trace decision of its
// own, to change the status of the server span, and to write anything that a metric of bounded cardinality
// or a secret-free backend would have to filter out again.
//
//	obs, err := spans.New(spans.Config{Scheme: attempt.SchemeBearer})
//	ctx := obs.Begin(r.Context(), &req)
//	// verify the token with ctx
//	err = obs.Decide(ctx, &req, &res)
//
// # Attributes
//
// On both spans, where known: auth.outcome, auth.scheme, user.name, user.hash, client.address and
// http.route. On the auth span also http.request.method, auth.cache.result and, on a denial, error.type and
// auth.reason; the child has auth.password.scheme and auth.outcome. error.type stays off the server span, where it
// would name the error of the HTTP exchange. otelhttp takes client.address from the left-most X-Forwarded-For
// entry, which any client can write: the value here replaces it.
//
// The auth span's status is Error for malformed, failure, throttled and error, with error.type as its
// description, and Unset for success and missing: the first request of every browser is no error.
package spans
