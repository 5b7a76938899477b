// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package ranksum

import (
	"math"
	"testing"
)

// TestPValue compares with values that were computed by hand from the ranks.
func TestPValue(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b []int
		want float64
	}{
		// U = 0, mean 12.5, variance 25·11/12.
		"apart": {[]int{1, 2, 3, 4, 5}, []int{6, 7, 8, 9, 10}, math.Erfc(12.5 / math.Sqrt(2*275.0/12))},
		// Ranks 1.5, 1.5, 4 and 4, 4, 6: U = 1, mean 4.5, ties 6 + 24, variance 9/12·(7-30/30).
		"ties":      {[]int{1, 1, 2}, []int{2, 2, 3}, math.Erfc(3.5 / math.Sqrt(2*4.5))},
		"the same":  {[]int{1, 2, 3}, []int{1, 2, 3}, 1},
		"one value": {[]int{7, 7}, []int{7, 7, 7}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, got := range []float64{PValue(c.a, c.b), PValue(c.b, c.a)} {
				if math.Abs(got-c.want) > 1e-12 {
					t.Errorf("p = %v, want %v", got, c.want)
				}
			}
		})
	}
}
