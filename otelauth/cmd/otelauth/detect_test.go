// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestReplayProgress: the line of a terminal says how far the replay is, and a file gets none.
func TestReplayProgress(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	bar := &replayProgress{progress: &progress{w: &out, live: true}, now: func() time.Time { return now }, begun: now, known: true, total: 4_000_000}
	now = now.Add(2 * time.Second)
	if _, err := bar.count(strings.NewReader(strings.Repeat("x", 1_000_000))).Read(make([]byte, 1_000_000)); err != nil {
		t.Fatal(err)
	}
	bar.show(3)
	bar.show(4) // within 100 ms
	if want := "\r\x1b[K[#######.......................]  25 %  0 MB/s  3 findings  about 6s left"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	out.Reset()
	bar.known = false
	now = now.Add(time.Second)
	bar.show(1)
	if want := "\r\x1b[K1.0 MB  0 MB/s  1 finding"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	out.Reset()
	quiet := &replayProgress{progress: newProgress(&out), now: time.Now}
	if quiet.show(1); out.Len() != 0 {
		t.Errorf("a file gets %q", out.String())
	}
}
