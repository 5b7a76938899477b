// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package wide has what the events of package audit and the lines of package trail have in common:
// the attributes of an attempt, and the folding of identical denials.
package wide
