// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package spans puts every authentication attempt into a trace: a span "authenticate basic"
// around the verification, a child "verify password" where a password hash ran, and the outcome,
// the user and the client on the server span too, so that one search finds them.
//
// It observes an [attempt.Request] and does not depend on HTTP Basic Auth: a service that
// verifies tokens itself emits the same spans. It makes no sampling decision, does not change the
// status of the server span, and writes no secret.
//
//	obs, err := spans.New(spans.Config{Scheme: attempt.SchemeBearer})
//	ctx := obs.Begin(r.Context(), &req)
//	// verify the token with ctx
//	err = obs.Decide(ctx, &req, &res)
//
// # Attributes
//
// docs/signals.md lists the attributes of each span. error.type is not on the server span, where
// it would name the error of the HTTP exchange. otelhttp takes client.address from the left-most
// X-Forwarded-For entry, which any client can write; the value here replaces it.
//
// The status of the auth span is Error for malformed, failure, throttled and error, with
// error.type as its description, and Unset for success and missing, because the first request of
// every browser has no credentials.
package spans
