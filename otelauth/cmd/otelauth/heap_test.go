// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestPercentFor(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	for _, tt := range []struct {
		live uint64
		want int
	}{
		{0, 1600}, {mib, 1600}, {4 * mib, 1600}, {8 * mib, 800}, {16 * mib, 400}, {64 * mib, 100}, {65 * mib, 100}, {4096 * mib, 100},
	} {
		if got := percentFor(tt.live); got != tt.want {
			t.Errorf("percentFor(%d MiB) = %d, want %d", tt.live/mib, got, tt.want)
		}
	}
}
