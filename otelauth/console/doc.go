// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package console serves the operator's page: attempts, attacks, who is blocked and why, and acts
// with a reason. It is a client of the API of package operator and needs nothing else, neither a
// build step nor another host.
//
//	page, err := console.New(console.Config{API: op})
//	mux.Handle("/console/", mw.Wrap(mw.RequireGroup("ops")(http.StripPrefix("/console", page))))
//
// The address of the page ends with a slash, and everything that it loads is below it. Serve it to
// operators only: put a Middleware around it, as above, so that the API knows who acts.
//
// # What a client sends is text
//
// The page writes text nodes and never parses markup. Its Content-Security-Policy permits files of
// the page itself only, and requires Trusted Types without any policy, so that a browser refuses
// what would become markup. Control characters and those that change the direction of text are
// written out, such as ⟨U+202E⟩.
package console

//go:generate go test -count=1 -run ^TestWords$ -update
