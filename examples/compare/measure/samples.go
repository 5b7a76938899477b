// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package measure

import (
	"math"
	"slices"
)

// Samples are measured values of one kind. The zero value holds none.
type Samples []float64

// Quantile returns the q-quantile by nearest rank: the smallest sample that at least a share q of
// all samples does not exceed. So it is always a measured value. It is NaN without samples; q is
// clamped to 0…1. It does not change s.
func (s Samples) Quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	// The tiny subtraction keeps 0.95 × 20 at rank 19 in spite of binary fractions.
	rank := int(math.Ceil(q*float64(len(sorted)) - 1e-9))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Median returns the middle sample, or the mean of the two middle ones of an even number. It is
// NaN without samples.
func (s Samples) Median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	mid := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[mid]
	}
	return (sorted[mid-1] + sorted[mid]) / 2
}

// RelativeDifference returns how far b is from a, as a share of a: 0.05 when b is 5 % above a.
func RelativeDifference(a, b float64) float64 { return (b - a) / a }
