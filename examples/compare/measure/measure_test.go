// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package measure_test

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/otelauth/otelauth-go/examples/compare/measure"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	hundred := make(measure.Samples, 100)
	for i := range hundred {
		hundred[i] = float64(100 - i) // 100 … 1, unsorted on purpose
	}
	twenty := hundred[80:] // 20 … 1
	tests := []struct {
		name string
		s    measure.Samples
		q    float64
		want float64
	}{
		{"one sample is every quantile", measure.Samples{7}, 0.99, 7},
		{"minimum", hundred, 0, 1},
		{"maximum", hundred, 1, 100},
		{"beyond the range", hundred, 2, 100},
		{"median", hundred, 0.5, 50},
		{"99th of a hundred is not the maximum", hundred, 0.99, 99},
		{"99th of twenty is the maximum", twenty, 0.99, 20},
		{"95th of twenty", twenty, 0.95, 19},
		{"5th of twenty", twenty, 0.05, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.s.Quantile(tt.q); got != tt.want {
				t.Errorf("Quantile(%v) = %v, want %v", tt.q, got, tt.want)
			}
		})
	}
	if got := (measure.Samples{}).Quantile(0.5); !math.IsNaN(got) {
		t.Errorf("Quantile of nothing = %v, want NaN", got)
	}
	if hundred[0] != 100 {
		t.Error("Quantile changed its samples")
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	if got := (measure.Samples{9, 1, 5}).Median(); got != 5 {
		t.Errorf("odd: %v, want 5", got)
	}
	if got := (measure.Samples{4, 1, 9, 2}).Median(); got != 3 {
		t.Errorf("even: %v, want 3", got)
	}
	if got := (measure.Samples{}).Median(); !math.IsNaN(got) {
		t.Errorf("none: %v, want NaN", got)
	}
}

func TestCPUClocksAdvanceWithWork(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	process, thread := measure.ProcessCPU(), measure.ThreadCPU()
	sum := 0
	for i := range 20_000_000 {
		sum += i & sum
	}
	process, thread = measure.ProcessCPU()-process, measure.ThreadCPU()-thread
	if thread <= 0 || process <= 0 {
		t.Errorf("after work (%d): process %v, thread %v, want both above 0", sum, process, thread)
	}
}

func TestRatio(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b float64
		want string
	}{
		{3, 2, "1.50 ×"}, {300, 2, "150 ×"}, {25, 2, "12.5 ×"}, {1, 80, "0.0125 ×"}, {1, 0, "–"}, {math.NaN(), 1, "–"},
	} {
		if got := measure.Ratio(tt.a, tt.b); got != tt.want {
			t.Errorf("Ratio(%v, %v) = %q, want %q", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestTableEscapesAndFillsUp(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	tab := measure.Table{Header: []string{"a", "b"}}
	tab.Add("x|y")
	if _, err := tab.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if want := "| a | b |\n| --- | ---: |\n| x\\|y |  |\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func ExampleSamples_Quantile() {
	s := measure.Samples{12, 3, 5, 8}
	fmt.Println(s.Quantile(0.5), s.Quantile(0.99))
	// Output: 5 12
}

func ExampleTable() {
	t := measure.Table{Header: []string{"peer", "ns/op"}}
	t.Add("r.BasicAuth()", "210")
	_, _ = t.WriteTo(os.Stdout)
	// Output:
	// | peer | ns/op |
	// | --- | ---: |
	// | r.BasicAuth() | 210 |
}
