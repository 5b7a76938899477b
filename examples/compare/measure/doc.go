// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package measure holds what the three tools count with: quantiles, CPU clocks and Markdown
// tables. It offers no mean, because a mean hides the tail of latencies.
//
//	s := measure.Samples{3, 1, 2}
//	median := s.Quantile(0.5) // 2
package measure
