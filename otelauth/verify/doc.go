// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package verify answers one question: is this credential right? It is stage 4 of
// the pipeline.
//
// Basic Auth sends the password with every request, and a password hash costs tens of
// milliseconds by design. So an [Engine] hashes each credential once and recognises it
// afterwards by a keyed MAC; it pays for a guess before it hashes (package throttle); and it
// hashes behind a [Gate] that leaves a processor to everybody else, is fair between networks
// and sheds at once what it cannot serve in time.
//
// Two seams say who is right. [Accounts] finds the stored hash of a name and the Engine verifies
// it; a [Verifier] decides by itself.
//
// The package refuses to keep a password or anything that a password could be computed
// from: a cache entry holds a MAC under a key that lives and dies with the Engine. It
// refuses to answer an unknown name faster than a known one. And it writes neither HTTP nor telemetry:
// a verdict is an attempt.Result, for others to tell.
//
//	engine, err := verify.New(verify.Config{Accounts: users, Gate: verify.NewGate(verify.Limits{})})
//	...
//	account := engine.Verify(ctx, field, network, &result) // nil unless result.Outcome is Success
package verify
