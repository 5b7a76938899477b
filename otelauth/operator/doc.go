// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package operator answers an operator's questions about a running service: who is attacking, who
// is blocked, why, and let her in. [Operator] observes attempts and detections, and serves an API
// over HTTP with JSON bodies. [Client] calls it.
//
//	op, err := operator.New(operator.Config{Acts: true})
//	mw, err := otelauth.New(otelauth.Config{
//		Accounts:   users,
//		Additional: []attempt.Observer{op},
//		Detect:     detect.Config{OnEpisode: op.Detection},
//	})
//	op.Attach(mw)
//	mux.Handle("/operator/", mw.Wrap(mw.RequireGroup("ops")(http.StripPrefix("/operator", op))))
//
// # Routes
//
//	GET  /v1/status              the process: rates, hashing, cache, tables, stores, settings
//	GET  /v1/attempts            recent attempts
//	GET  /v1/traffic             attempts over time, by endpoint, account and network
//	GET  /v1/episodes            running and past attacks, with their evidence
//	GET  /v1/episodes/{id}       one attack, with addresses, endpoints and what to do
//	GET  /v1/budgets             who is blocked, and the rules in force
//	GET  /v1/budgets/explain     whether and why an account or a network is refused
//	GET  /v1/acts                the acts of operators
//	POST /v1/acts                clear, allow, deny or forget
//	POST /v1/acts/{id}/undo      end the effect of an act
//	GET  /v1/live                the live view: server-sent events
//	GET  /v1/openapi.json        the description of all of this
//
// # Who may call it
//
// The handler answers only callers that have a name: the user of an otelauth Middleware around it,
// the other end of a unix socket (see [ConnContext]), or the actor of [WithActor]. Acts also need
// [Config.Acts], a reason, and the header [ActHeader], which browsers let no other site send. The
// password of the user must have been hashed within the last five minutes.
package operator

//go:generate go test -count=1 -run ^TestOpenAPI$ -update
