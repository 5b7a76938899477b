// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect

// DefaultThresholds returns what the zero Thresholds mean.
var DefaultThresholds = defaultThresholds
