// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package throttle

const (
	MaxCases             = maxCases
	MaxRules             = maxRules
	DefaultRemember      = defaultRemember
	DefaultLease         = defaultLease
	DefaultMemoryBytes   = defaultMemoryBytes
	DefaultSnapshotEvery = defaultSnapshotEvery
)
