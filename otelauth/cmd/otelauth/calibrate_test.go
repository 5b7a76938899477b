// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/verify"
	"github.com/otelauth/otelauth-go/otelauth/verify/password"
)

// machine takes so long for a MiB and a pass.
func machine(perMiB time.Duration, steps *int) func(password.Params) (time.Duration, error) {
	return func(p password.Params) (time.Duration, error) {
		*steps++
		return time.Duration(p.MemoryKiB) * time.Duration(p.Passes) * perMiB / 1024, nil
	}
}

func TestCalibrate(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		perMiB, target time.Duration
		mostKiB        uint32
		want           password.Params
	}{
		"memory first":           {time.Millisecond, 100 * time.Millisecond, 256 << 10, password.Params{MemoryKiB: 50 << 10, Passes: 2, Lanes: 1}},
		"then passes":            {time.Millisecond, 300 * time.Millisecond, 64 << 10, password.Params{MemoryKiB: 64 << 10, Passes: 5, Lanes: 1}},
		"never below OWASP":      {10 * time.Millisecond, 100 * time.Millisecond, 256 << 10, password.Params{MemoryKiB: leastMemoryKiB, Passes: 2, Lanes: 1}},
		"never above the bounds": {time.Nanosecond, time.Hour, 256 << 10, password.Params{MemoryKiB: 256 << 10, Passes: 4, Lanes: 1}},
		"nor above the gate's":   {time.Microsecond, time.Hour, leastMemoryKiB, password.Params{MemoryKiB: leastMemoryKiB / 1024 * 1024, Passes: 8, Lanes: 1}},
	} {
		steps := 0
		got, took, err := calibrate(test.target, test.mostKiB, machine(test.perMiB, &steps))
		if name == "nor above the gate's" {
			test.want.MemoryKiB = got.MemoryKiB // rounding down would be below the minimum
			if got.MemoryKiB < leastMemoryKiB || got.MemoryKiB > test.mostKiB {
				t.Errorf("%s: %d KiB", name, got.MemoryKiB)
			}
		}
		if err != nil || got != test.want || steps > calibrateSteps {
			t.Errorf("%s: %+v takes %v after %d steps, want %+v", name, got, took, steps, test.want)
		}
		encoded := fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$c2FsdHNhbHRzYWx0c2FsdA$VhxavleEsqL8LcUM3IdDIkymqGCd05cIoS+tZN/883A", got.MemoryKiB, got.Passes, got.Lanes)
		if h, err := password.Parse(encoded); err != nil || h.RehashNeeded() {
			t.Errorf("%s: is not accepted, or weak: %v", name, err)
		}
	}
	failed := errors.New("out of memory")
	if _, _, err := calibrate(time.Second, 1<<20, func(password.Params) (time.Duration, error) { return 0, failed }); !errors.Is(err, failed) {
		t.Errorf("%v", err)
	}
}

// TestMostMemory checks that the hashes that run at once fit into the limit of the gate, down to
// the minimum.
func TestMostMemory(t *testing.T) {
	t.Parallel()
	for slots, want := range map[int]uint32{-1: 256 << 10, 0: 256 << 10, 1: 256 << 10, 2: 256 << 10, 4: 128 << 10, 16: 32 << 10, 64: leastMemoryKiB} {
		if got := mostMemoryKiB(slots); got != want {
			t.Errorf("%d slots: %d KiB, want %d", slots, got, want)
		}
		if slots > 0 && slots <= 16 && int64(mostMemoryKiB(slots))*1024*int64(slots) > verify.DefaultMemoryBytes {
			t.Errorf("%d slots take more than the gate admits", slots)
		}
	}
}
