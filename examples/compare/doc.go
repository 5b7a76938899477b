// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package compare compares otelauth with its peers: the same accounts, the same requests, the same
// machine, one run.
//
// It is a module of its own, so that users of otelauth do not download Caddy. Every benchmark and
// every server is a process of its own. Compare figures within one run only.
//
//	go run ./cmd/bench    # one successful request: CPU, wall time, allocations
//	go run ./cmd/flood    # a client with the right password during a flood of wrong passwords
//	go run ./cmd/oracle   # does an unknown name cost more or less than a known one?
package compare
