// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package simulate plays weeks of honest and hostile traffic to a [detect.Detector], on a virtual clock and from a seed, and
// says what was found, after how many tries and how long, and what was found of honest people.
//
// Honest people have offices behind one address, phones in the networks of carriers, homes, hotels, a VPN, holidays,
// typing errors, forgotten passwords and clients that keep an old one; beside them are a crawler without credentials, a
// fleet that is deployed now and then with a stale secret, a script, and the phones of people who have left. There is an
// attack for each rule, at any speed.
//
// It refuses to prove anything of the traffic of your service: its rates are guesses, stated in world.go. It is for comparing
// thresholds, and for seeing that a change of a rule breaks no other.
//
//	honest, err := simulate.Run(ctx, simulate.Scenario{Seed: 1})
//	attacked, err := simulate.Run(ctx, simulate.Scenario{Seed: 1, Attacks: simulate.Attacks(0.1)})
//	err = simulate.WriteTable(os.Stdout, honest, attacked)
package simulate
