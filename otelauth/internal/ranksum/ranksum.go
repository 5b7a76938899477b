// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

// Package ranksum compares two samples without assuming a distribution; that of times is skewed.
package ranksum

import (
	"cmp"
	"math"
	"slices"
)

// PValue returns the two-sided p-value of the U test (Mann and Whitney 1947) in its normal
// approximation, corrected for ties. Each sample needs at least 20 values. Samples of one value
// have the p-value 1.
func PValue[T cmp.Ordered](a, b []T) float64 {
	type ranked struct {
		value T
		first bool
	}
	all := make([]ranked, 0, len(a)+len(b))
	for _, v := range a {
		all = append(all, ranked{v, true})
	}
	for _, v := range b {
		all = append(all, ranked{v, false})
	}
	slices.SortFunc(all, func(x, y ranked) int { return cmp.Compare(x.value, y.value) })
	var ranks, ties float64
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].value == all[i].value {
			j++
		}
		same := float64(j - i)
		ties += same*same*same - same
		for ; i < j; i++ {
			if all[i].first {
				ranks += float64(j) - (same-1)/2
			}
		}
	}
	n, m := float64(len(a)), float64(len(b))
	u := ranks - n*(n+1)/2
	variance := n * m / 12 * (n + m + 1 - ties/((n+m)*(n+m-1)))
	if variance <= 0 {
		return 1
	}
	return math.Erfc(math.Abs(u-n*m/2) / math.Sqrt(2*variance))
}
