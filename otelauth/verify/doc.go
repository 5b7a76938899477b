// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package verify decides whether a credential is right. It is stage 4 of the pipeline.
//
// Basic Auth sends the password with every request, and a password hash costs tens of
// milliseconds by design. An [Engine] therefore hashes each credential once and recognises it
// later by a keyed MAC. It charges the guess budgets (package throttle) before it hashes. It
// hashes behind a [Gate], which leaves one processor free for other work, is fair between client
// networks, and refuses at once what it cannot serve in time.
//
// Two interfaces connect it to accounts. [Accounts] finds the stored hash of a name, and the
// Engine verifies the password. A [Verifier] verifies the password itself. Package verifytest
// tests an implementation of [Accounts].
//
// Most programs use package otelauth, which creates the Engine. Use this package for a protocol
// other than HTTP, or to write an account store.
//
//	engine, err := verify.New(verify.Config{Accounts: users, Gate: verify.NewGate(verify.Limits{})})
//	...
//	account := engine.Verify(ctx, time.Now(), field, network, &result)
//	// nil unless result.Outcome is Success
//
// The package never stores a password or anything that a password could be computed from: a cache
// entry holds a MAC under a key that exists only in the memory of the Engine. An unknown name
// takes as long as a known one. The package writes neither HTTP nor telemetry; the caller reports
// the attempt.Result.
package verify
