// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package audit emits one wide event, "auth.attempt", for every authentication attempt when its
// response is known: the user, the client, the endpoint, the verdict and the status.
//
// [New] emits OpenTelemetry log records with an EventName. [NewSlog] writes the same attributes
// under the same keys to a [log/slog.Handler], for services without an OpenTelemetry log
// pipeline. Both record only what an [attempt.Request] and an [attempt.Result] hold: no password,
// no header except the request id, no query string.
//
// Delivery is not guaranteed: the batch processor of an SDK drops records when it is full, and
// Emit returns no error. A client cannot fill a disk: of identical denials a few are emitted
// individually, and the others are folded into one event a period with their exact count
// ([Events]).
//
//	obs, err := audit.New(audit.Config{})
//	ctx = obs.Begin(ctx, &req)
//	...
//	obs.End(req.Context, &req, &res, &attempt.Response{Status: 200, Handler: true})
//
// # Events and attributes
//
// docs/signals.md lists the events, their severities and attributes. An attribute that is unknown
// or does not apply is left out; booleans appear only if they are true. Keys are unique in each
// event, so an SDK can skip the check for duplicates, which costs it a quarter of its time
// (WithAllowKeyDuplication of go.opentelemetry.io/otel/sdk/log).
//
// An event has the time of the verdict and the ids of the server span, or of the auth span if
// there is no server span. A handler that itself refuses an authenticated user shows as
// auth.outcome "success" with http.response.status_code 401 or 403.
//
// auth.events.suppressed has the attributes that are equal in all events it represents, lists of
// at most [MaxRoutes] routes and [MaxTraces] trace ids, and the ids of no span. The one for all
// networks has only the event and the outcome. The one for an account has user.hash and, if names
// are recorded, user.name. The one for successes has account and http.route,
// and lists no routes.
//
// # Hostile values
//
// Values that a client writes are cut to a bound, and [attempt.Text] replaces characters that can
// forge a line or reverse text in a terminal, so the events are safe to show with any handler or
// exporter.
package audit
