// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package profcheck stands where a module is named that only tests of a dependency's dependency
// import. Nothing here builds it; go mod tidy wants to see it, and not every module proxy has it.
package profcheck
