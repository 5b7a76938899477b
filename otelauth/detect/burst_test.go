// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// TestFailureBurst: what counts is different credentials, within 10 minutes, from a network
// without a success.
func TestFailureBurst(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		try  func(w *watch)
		want int
	}{
		{"within 10 minutes", func(w *watch) {
			for i := range 5 {
				w.try(try{password: uint64(i + 1)})
				w.pass(150 * time.Second)
			}
		}, 1},
		{"one every 151 seconds", func(w *watch) {
			for i := range 50 {
				w.try(try{password: uint64(i + 1)})
				w.pass(151 * time.Second)
			}
		}, 0},
		{"a client repeats an old password", func(w *watch) {
			for range 50 {
				w.try(try{password: 7})
				w.pass(time.Second)
			}
		}, 0},
		{"a user of the network mistypes", func(w *watch) {
			w.try(try{name: "bob"})
			for i := range 9 {
				w.try(try{password: uint64(i + 1)})
				w.pass(time.Second)
			}
		}, 0},
		{"two addresses of a network", func(w *watch) {
			for i := range 5 {
				w.try(try{password: uint64(i + 1), from: []string{"192.0.2.7", "192.0.2.8"}[i%2]})
			}
		}, 1},
		{"two networks", func(w *watch) {
			for i := range 8 {
				w.try(try{password: uint64(i + 1), from: network(i % 2)})
			}
		}, 0},
	} {
		w := newWatch(t)
		tc.try(w)
		if got := w.starts(detect.FailureBurst); got != tc.want {
			t.Errorf("%s: %d episodes, want %d", tc.name, got, tc.want)
		}
	}
}

// quietBurst turns failure_burst off, for tests of another rule that count its episodes.
func quietBurst(cfg *detect.Config) { cfg.Off = append(cfg.Off, detect.FailureBurst) }
