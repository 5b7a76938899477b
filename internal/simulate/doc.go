// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package simulate plays weeks of honest and hostile traffic to a [detect.Detector], on a virtual
// clock and from a seed. It reports which attacks were detected, after how many attempts and how
// long, and which detections honest users caused.
//
// Honest users have offices behind one address, phones in the networks of carriers, homes,
// hotels, a VPN, holidays, typing errors, forgotten passwords and clients with an old password.
// Beside them are a crawler without credentials, a fleet that is sometimes deployed with an old
// secret, a script, and phones of users who have left. [Worlds] add honest traffic that has misled
// detection. There is an attack for each rule, at any speed, and variants of some.
//
// The rates are guesses, listed in world.go. They serve to compare thresholds and to see that a
// change of one rule does not break another. They prove nothing about the traffic of a real
// service.
//
//	honest, err := simulate.Run(ctx, simulate.Scenario{Seed: 1})
//	attacked, err := simulate.Run(ctx, simulate.Scenario{Seed: 1, Attacks: simulate.Attacks(0.1)})
//	err = simulate.WriteTable(os.Stdout, honest, attacked)
package simulate
