// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package enumeration

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/otelauth/otelauth-go/otelauth/internal/ranksum"
)

// sample is the measurements of one class.
type sample []float64

// alpha is the p-value below which two samples are different. For a hundred comparisons together,
// a false alarm is rarer than one in a million.
const alpha = 1e-8

// comparison is the result of comparing two samples.
type comparison struct {
	p     float64 // of the Mann-Whitney test, two-sided
	shift float64 // the median of the second against that of the first, minus 1
}

func (c comparison) String() string { return fmt.Sprintf("%+.2f %%, p = %.2g", 100*c.shift, c.p) }

// compare tests whether two samples differ. Each needs at least 20 values.
func compare(a, b sample) comparison {
	return comparison{p: ranksum.PValue(a, b), shift: median(b)/median(a) - 1}
}

func median(s sample) float64 {
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// drawn returns a sample of n times with the distribution of a hash: about 1, skewed by spread,
// scaled.
func drawn(r *rand.Rand, n int, spread, scale float64) (s sample) {
	for range n {
		s = append(s, scale*math.Exp(spread*math.Abs(r.NormFloat64())))
	}
	return s
}

// TestThePlantedDifferenceIsFound: with as many samples as the tests take, the test finds 5 % in
// noise that is twice as wide, and raises no false alarm.
func TestThePlantedDifferenceIsFound(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 7))
		known := drawn(r, samples, 0.1, 1)
		if c := compare(known, drawn(r, samples, 0.1, 1.05)); c.p >= alpha {
			t.Errorf("seed %d: a difference of 5 %% was not found: %v", seed, c)
		}
		if c := compare(known, drawn(r, samples, 0.1, 1)); c.p < 1e-6 {
			t.Errorf("seed %d: a difference was found where there is none: %v", seed, c)
		}
	}
}

// samples is the number of measurements of a class.
const samples = 300

// TestMannWhitney compares with the p-value of tables: for samples of 20 without ties and U = 0
// the approximation is 6.3e-8.
func TestMannWhitney(t *testing.T) {
	t.Parallel()
	var low, high, same sample
	for i := range 20 {
		low, high, same = append(low, float64(i)), append(high, float64(100+i)), append(same, 5)
	}
	if c := compare(low, high); math.Abs(c.p-6.3e-8) > 1e-9 {
		t.Errorf("apart: %v", c)
	}
	if c := compare(low, low); c.p != 1 {
		t.Errorf("equal: %v", c)
	}
	if c := compare(same, same); c.p != 1 || c.shift != 0 {
		t.Errorf("all one value: %v", c)
	}
}
