// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// besiege lets 12 networks guess at each of n accounts, four times each, within an hour.
func (w *watch) besiege(n int) {
	for round := range 4 {
		for i := range n {
			for from := range 12 {
				w.try(try{name: fmt.Sprint("user", i), password: uint64(1 + round + 4*from + 100*i), from: network(12*i + from)})
			}
		}
		w.pass(15 * time.Minute)
	}
}

// TestTakeoversOfManyAccounts: while many accounts are under attack, a success is a takeover if its
// network has guessed, even if at no other account. That of an owner in a new network is none,
// neither during the attack nor after it.
func TestTakeoversOfManyAccounts(t *testing.T) {
	t.Parallel()
	const accounts = detect.MaxEpisodes + 40 // the attack on some accounts is folded
	w := newWatch(t, func(cfg *detect.Config) {
		// It would name all takeovers.
		cfg.Entries, cfg.Off = 1<<14, []string{detect.DistributedStuffing}
	})
	for range 9 {
		for i := range accounts {
			w.try(try{name: fmt.Sprint("user", i)})
		}
		w.pass(24 * time.Hour)
	}
	w.besiege(accounts)
	w.found = nil
	w.try(try{name: "user7", from: network(12*7 + 5)})
	last := accounts - 1
	w.try(try{name: fmt.Sprint("user", last), from: network(12*last + 5)})
	if n := w.starts(detect.SuccessAfterFailures); n != 2 {
		t.Errorf("%d of two takeovers are named", n)
	}
	w.found = nil
	for i := range accounts / 2 {
		owner := try{name: fmt.Sprint("user", 2*i), from: fmt.Sprintf("198.51.%d.9", i)}
		for typo := range i % 4 {
			mistyped := owner
			mistyped.password = uint64(90_000 + 10*i + typo)
			w.try(mistyped)
		}
		w.try(owner)
	}
	if n := w.starts(detect.SuccessAfterFailures); n != 0 {
		t.Errorf("%d owners in new networks are named during the attack", n)
	}
	w.pass(3 * time.Hour) // the episodes end; what was folded is remembered for a day
	w.found = nil
	for i := range accounts / 2 {
		w.try(try{name: fmt.Sprint("user", 2*i+1), from: fmt.Sprintf("198.52.%d.9", i)})
	}
	if n := w.starts(detect.SuccessAfterFailures); n != 0 {
		t.Errorf("%d owners in new networks are named after the attack", n)
	}
}
