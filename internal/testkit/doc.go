// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package testkit holds what the tests of several packages need: certificates, free ports, child
// processes, packages of npm, waiting, and whether the race detector is on. The nested modules of
// this repository may import it too.
package testkit
