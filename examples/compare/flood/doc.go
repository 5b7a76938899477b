// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package flood measures the service that a client with the right password gets during a flood of
// wrong passwords. Server, attacker and right client are three processes, so that none of them
// disturbs the scheduler of another. They share the machine.
//
// The right client is an open loop: its requests are due at fixed times, and each latency counts
// from that time. So a stalled server cannot hide the requests that it delayed. A failure counts
// as the slowest answer.
//
// The package only attacks a server on loopback that it started itself, and ends only processes
// that it started.
//
//	os.Exit(flood.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
package flood
