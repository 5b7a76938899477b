// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package profcheck replaces a module that only tests of an indirect dependency import. It is
// never built. go mod tidy needs it, and not every module proxy has it.
package profcheck
