// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package compare puts otelauth beside its peers: the same accounts, the same
// requests, the same machine, one run.
//
// It is a module of its own, so that nobody who imports otelauth downloads Caddy.
// It refuses to measure in the background of anything else: every benchmark and every server
// is a process of its own, and the figures are for comparison within one run only.
//
//	go run ./cmd/bench    # one successful request: CPU, wall time, allocations
//	go run ./cmd/flood    # a right client while wrong passwords pour in
//	go run ./cmd/oracle   # is an unknown name cheaper or dearer than a known one?
package compare
