// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package trail_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/audit/trail"
	"github.com/otelauth/otelauth-go/otelauth/semconv"
)

// The counts of folded denials are on disk within a second, during a flood and after it.
func TestFoldedWithinASecond(t *testing.T) {
	t.Parallel()
	for phase := range 20 { // of the ticks
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, trail.Config{})
			defer r.close(t)
			time.Sleep(time.Duration(phase) * 51 * time.Millisecond)
			const eachSecond, seconds = 50, 3
			for sent := range int64((seconds + 1) * eachSecond) {
				if sent < seconds*eachSecond {
					_ = decide(r.Trail, fmt.Sprint("/", sent), attempt.Failure)
				}
				time.Sleep(time.Second / eachSecond)
				synctest.Wait()
				if got, want := r.denials(t), sent+1-eachSecond; got < want {
					t.Fatalf("%d of %d denials are on disk a second later", got, want)
				}
			}
			if got := r.denials(t); got != seconds*eachSecond {
				t.Errorf("%d denials are on disk, want %d", got, seconds*eachSecond)
			}
		})
	}
}

// denials returns how many denials the lines on disk count.
func (r *rig) denials(t *testing.T) (n int64) {
	t.Helper()
	const key = `"` + semconv.KeyEventsSuppressedCount + `":`
	for line := range strings.Lines(r.text()) {
		if strings.Contains(line, `"auth.outcome":"failure"`) && strings.Contains(line, `"event":"auth.attempt"`) {
			n++
		}
		if _, rest, found := strings.Cut(line, key); found {
			var folded int64
			if _, err := fmt.Sscan(strings.SplitN(rest, ",", 2)[0], &folded); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			n += folded
		}
	}
	return n
}

// Checkpoints leave when the trail begins, within the interval after a line, when a segment is old,
// and at the end; each minute without lines the newest one leaves again.
func TestCheckpointTimes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, trail.Config{SegmentAge: time.Hour})
		var want []int64
		expect := func(after time.Duration, sizes ...int64) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			want = append(want, sizes...)
			if got := r.checkpoints(); !slices.Equal(got, want) {
				t.Fatalf("the checkpoints that were emitted cover %v lines, want %v", got, want)
			}
		}
		line := func() {
			t.Helper()
			if err := decide(r.Trail, "/orders", attempt.Success); err != nil {
				t.Fatal(err)
			}
		}
		expect(0, 0)
		line() // line 1 behind the header
		expect(8 * time.Second)
		expect(3*time.Second, 2)
		expect(50 * time.Second)
		expect(20*time.Second, 2) // again
		first := r.segment()
		time.Sleep(time.Hour)
		synctest.Wait()
		want = r.checkpoints()
		line() // in a new segment, whose header it follows
		if r.segment() == first {
			t.Error("a segment of an hour goes on")
		}
		expect(0, 2)
		line()
		r.close(t)
		expect(0, 5)
		if err := r.verify(t); err != nil {
			t.Error(err)
		}
	})
}

// checkpoints returns the sizes of the checkpoints that were emitted.
func (r *rig) checkpoints() (sizes []int64) {
	for _, e := range r.rec.Events() {
		if e.Name() == semconv.EventTrailCheckpoint {
			for _, kv := range e.Attributes() {
				if kv.Key == semconv.KeyTrailSize {
					sizes = append(sizes, kv.Value.AsInt64())
				}
			}
		}
	}
	return sizes
}
