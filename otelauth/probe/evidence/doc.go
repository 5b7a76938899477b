// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package evidence judges whether a service recorded the authentication attempts that a test made.
//
// A [Ledger] holds what was sent and what arrived. Call [Ledger.Expect] before each request and
// [Ledger.Answered] after it. Give it the telemetry of the service while it arrives:
// [Ledger.Export] takes the requests of an OTLP exporter, and [Ledger.Add] takes the lines of a log
// file. At the end [Ledger.Judge] returns one [Judgement] for each attempt, and findings about the
// whole run.
//
// An attempt is correlated with its event by three tokens, because a service outside of the
// caller's trust starts a new trace: the trace id of traceparent, X-Request-Id, and a word of
// User-Agent. A span that links to the trace id of the request correlates its trace too.
//
// The package sends nothing and opens no socket. What the ledger keeps is bounded, see [Config].
package evidence
