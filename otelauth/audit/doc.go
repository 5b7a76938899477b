// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package audit tells of every authentication attempt as one wide event, "auth.attempt", told when the
// response is known and carrying who, from where, what for, the verdict and the status.
//
// [New] emits OpenTelemetry log records with an EventName; [NewSlog] writes the same attributes under the same keys
// to a [log/slog.Handler], for services without an OpenTelemetry log pipeline. Both keep to what an
// [attempt.Request] holds: no password, no header, no query string. It refuses to guarantee delivery: an SDK's batch
// processor drops when it is full, and Emit returns no error. A record that must not be lost is a trail's work. And it
// refuses to fill a disk for whoever sends requests: of identical denials a few are told one by one, the others as one
// event a period with their exact count ([Events]).
//
//	obs, err := audit.New(audit.Config{})
//	ctx = obs.Begin(ctx, &req)
//	...
//	obs.End(req.Context, &req, &res, &attempt.Response{Status: 200, Handler: true})
//
// # Events
//
//	auth.attempt             INFO on success; WARN on missing, malformed, failure, throttled; ERROR on error
//	auth.public.response     WARN; a public endpoint answered 401 or 403 to a caller without credentials
//	auth.events.suppressed   the severity of what it stands for
//	auth.account.reload      INFO; ERROR when something is wrong with them
//	auth.identity_key.random, auth.client.untrusted_forwarded    WARN; what to do next is the body
//
// An event bears the time of the verdict and the ids of the server span, or of the auth span where there is no server
// span. A handler that itself refuses an authenticated user shows as auth.outcome=success with
// http.response.status_code 401 or 403; no other attribute repeats it.
//
// # Attributes
//
// Where known: auth.scheme, auth.outcome, error.type, auth.reason, user.name, user.hash, client.address,
// client.port, network.peer.address, network.peer.port, user_agent.original, http.route, http.request.method, url.path,
// http.response.status_code, auth.cache.result, auth.password.scheme; auth.password.rehash_needed,
// auth.credentials.exposed and auth.credentials.former (an account's former password: accepted while clients change over, or on a
// failure no longer) only when true; auth.response.elsewhere (true: a proxy was told to let the request pass, so the service's own status
// is unknown, and http.response.status_code is not there); http.request.header.x-request-id (a list, as the semantic conventions
// have it) when the service keeps request ids; on the outcome error also exception.message, the infrastructure error.
// Keys are unique in each event, so an SDK may be told not to look for duplicates, which costs it a quarter
// of its time (WithAllowKeyDuplication of go.opentelemetry.io/otel/sdk/log).
//
// auth.events.suppressed has the attributes that are the same in all events it stands for, and
// auth.events.suppressed.event (their name), .count, .first_time, .last_time, .network (a prefix; "other" for everybody
// without an event of his own, "unknown" without a client address), .routes and .route_counts (at most [MaxRoutes] and _OTHER;
// the counts add up to .count) and .trace_ids (at most [MaxTraces], the first ones). That of "other" says only the event and the
// outcome; that of successes names account and http.route, and lists no routes. It bears the ids of no span.
//
// # Hostile values
//
// What a client writes is cut to a bound, and [attempt.Text] takes out what could forge a line or turn text around in
// a terminal, so the events are safe to show whatever handler or exporter writes them.
package audit
