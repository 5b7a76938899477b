// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// TestStuffingInADay: 10,000 leaked pairs in a day, three from each network, are found within an
// hour, and each right one after that is a takeover of that episode, whether it is the first, the
// second or the third of its network.
func TestStuffingInADay(t *testing.T) {
	t.Parallel()
	w := newWatch(t, func(cfg *detect.Config) { cfg.Entries = 0 })
	w.live(3, "owner", "")
	w.found = nil
	begin := w.now
	var right []string
	for i := range 3000 {
		a := try{name: fmt.Sprint("leak", i), unknown: i%2 == 0, password: uint64(i + 1), from: network(i / 3)}
		if i%200 == 101 || i%200 == 3 || i%200 == 50 {
			a.password, a.unknown = 0, false
			if w.starts(detect.DistributedStuffing) == 1 {
				right = append(right, a.name)
			}
		}
		w.try(a)
		if i%100 == 7 { // an owner at home mistypes
			w.try(try{name: fmt.Sprint("home", i), password: uint64(i + 1), from: network(30_000 + i)})
			w.try(try{name: fmt.Sprint("home", i), from: network(30_000 + i)})
		}
		w.pass(8640 * time.Millisecond)
		if w.starts(detect.DistributedStuffing) == 0 && w.now.Sub(begin) > time.Hour {
			t.Fatal("not found within an hour")
		}
	}
	taken := map[string]detect.Detection{}
	var episode uint64
	for _, d := range w.found {
		switch d.Rule.Name {
		case detect.DistributedStuffing:
			episode = d.Episode
		case detect.SuccessAfterFailures:
			taken[d.Accounts[0]] = d
		}
	}
	for _, name := range right {
		if d, ok := taken[name]; !ok || d.PartOf != episode || len(d.Networks) != 1 {
			t.Errorf("the takeover of %s is %+v", name, d)
		}
	}
	// Those of the minutes before are marked too.
	if len(right) < 30 || len(taken) < len(right) || len(taken) > 45 {
		t.Errorf("%d takeovers marked, of 45, %d of them after the detection", len(taken), len(right))
	}
}

// TestSlowStuffing: 1,000 leaked pairs a day, three from each network, are found within a day.
func TestSlowStuffing(t *testing.T) {
	t.Parallel()
	w := newWatch(t, func(cfg *detect.Config) { cfg.Entries = 0 })
	w.live(9, "owner", "")
	w.found = nil
	for i := range 1000 {
		w.try(try{name: fmt.Sprint("leak", i), unknown: i%2 == 0, password: uint64(i + 1), from: network(i / 3)})
		w.pass(86*time.Second + time.Duration(i%7)*time.Second)
	}
	if w.starts(detect.DistributedStuffing) != 1 {
		t.Errorf("%d episodes", w.starts(detect.DistributedStuffing))
	}
}

// TestListsAreOfTheAttack: an episode about all networks lists neither users who gave up before it,
// nor users who mistype beside it.
func TestListsAreOfTheAttack(t *testing.T) {
	t.Parallel()
	w := newWatch(t, func(cfg *detect.Config) { cfg.Entries = 0 })
	user := func(i int) string { return fmt.Sprintf("198.%d.%d.9", i>>8, i&0xff) }
	for i := range 300 {
		w.try(try{name: fmt.Sprint("user", i), from: user(1000 + i)})
	}
	w.live(9, "owner", "")
	for i := range 30 {
		w.try(try{name: fmt.Sprint("gone", i), password: uint64(i + 1), from: user(i)})
	}
	w.live(2, "owner", "")
	for i := range 300 {
		name := fmt.Sprint("user", i)
		w.try(try{name: name, from: user(1000 + i)})
		w.try(try{name: fmt.Sprint("leak", i), unknown: true, password: uint64(i + 100), from: network(i / 3)})
		w.pass(4 * time.Second)
		w.try(try{name: name + "0", password: uint64(i + 1000), from: user(1000 + i)})
		w.pass(5*time.Second + time.Duration(i%7)*time.Second)
	}
	for _, d := range w.found {
		if d.Rule.Name != detect.DistributedStuffing || d.Phase != detect.Start {
			continue
		}
		for _, n := range d.Networks {
			if n.Addr().As4()[0] != 203 {
				t.Errorf("the networks are %v, and %v is not one of the attack", d.Networks, n)
			}
		}
		return
	}
	t.Error("not found")
}

// TestOldSuccessIsNoTakeover: a success is no part of an attack that begins weeks later, although
// its network then takes part in it.
func TestOldSuccessIsNoTakeover(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ days, want int }{{2, 1}, {12, 0}} {
		w := newWatch(t, func(cfg *detect.Config) { cfg.Entries = 0 })
		w.live(9, "owner", "")
		w.try(try{name: "old", from: network(200)})
		w.live(tc.days, "owner", "")
		w.found = nil
		for i := range 1000 {
			w.try(try{name: fmt.Sprint("leak", i), unknown: i%2 == 0, password: uint64(i + 1), from: network(i / 3)})
			w.pass(9*time.Second + time.Duration(i%7)*time.Second)
		}
		if attacks, takeovers := w.starts(detect.DistributedStuffing), w.starts(detect.SuccessAfterFailures); attacks != 1 || takeovers != tc.want {
			t.Errorf("a success %d days before an attack: %d attacks, %d takeovers, want 1 and %d", tc.days, attacks, takeovers, tc.want)
		}
	}
}

// TestUsersOfAFailingNetwork: a network that two accounts have used in the last weeks takes no part
// in an attack beside it because two of its users fail.
func TestUsersOfAFailingNetwork(t *testing.T) {
	t.Parallel()
	w := newWatch(t, func(cfg *detect.Config) { cfg.Entries = 0 })
	for _, name := range []string{"ann", "bob"} {
		w.try(try{name: name})
	}
	w.live(9, "owner", "")
	const shared = "198.51.100.9"
	for _, name := range []string{"ann", "bob"} {
		w.try(try{name: name, from: shared})
	}
	w.live(4, "owner", "")
	w.found = nil
	for i := range 1500 {
		w.try(try{name: fmt.Sprint("leak", i), unknown: i%2 == 0, password: uint64(i + 1), from: network(i / 3)})
		w.pass(9*time.Second + time.Duration(i%7)*time.Second)
	}
	for i := range 2 {
		w.try(try{name: fmt.Sprint("clumsy", i), password: uint64(10_000 + i), from: shared})
	}
	if attacks, takeovers := w.starts(detect.DistributedStuffing), w.starts(detect.SuccessAfterFailures); attacks != 1 || takeovers != 0 {
		t.Errorf("%d attacks, and %d of two users are named", attacks, takeovers)
	}
}

// TestManyHomesMistype: a thousand users, each in a network of its own, mistype within an hour and
// then succeed.
func TestManyHomesMistype(t *testing.T) {
	t.Parallel()
	w := newWatch(t, func(cfg *detect.Config) { cfg.Entries = 0 })
	w.live(3, "owner", "")
	w.found = nil
	for i := range 1000 {
		a := try{name: fmt.Sprint("user", i), from: network(i), password: uint64(i + 1)}
		w.try(a)
		w.pass(3 * time.Second)
		a.password = 0
		w.try(a)
	}
	w.none("a thousand typos")
}

// TestUsualStrangers: a service that always has strangers has twice as many before the rule fires.
func TestUsualStrangers(t *testing.T) {
	t.Parallel()
	w := newWatch(t, func(cfg *detect.Config) {
		cfg.Entries, cfg.Off = 0, []string{detect.EndpointFailureRatio, detect.ScheduledGuessing}
	})
	w.live(1, "owner", "")
	n := 0
	hour := func(strangers int) {
		for range strangers {
			n++
			w.try(try{name: fmt.Sprint("bot", n), unknown: true, from: network(n), password: uint64(n)})
			w.pass(time.Hour / time.Duration(strangers))
		}
	}
	for h := range 48 {
		hour(30 + h)
	}
	w.none("strangers whose number grows slowly")
	hour(200)
	if w.starts(detect.DistributedStuffing) != 1 {
		t.Error("an attack beside usual strangers is not found")
	}
}
