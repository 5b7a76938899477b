// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package flood asks what a right client feels while wrong passwords pour in. Server, attacker and
// right client are three processes, so that none of them disturbs the scheduler of another; the
// machine they do share.
//
// The right client is an open loop: its requests are due at fixed times and each latency counts
// from when it was due, not from when a free connection was found, so that a stalled server cannot
// hide the requests that it held up. A failure counts as the slowest answer, never as a fast one.
//
// It refuses to aim at anything but a server on the loopback that it started itself, and ends only
// processes that it started.
//
//	os.Exit(flood.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
package flood
