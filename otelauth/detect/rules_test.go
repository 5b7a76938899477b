// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detect_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/otelauth/otelauth-go/internal/testkit"
	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// TestThresholds: a rule fires with its default evidence, and does not with one less, whatever the
// key of the tables is.
func TestThresholds(t *testing.T) {
	t.Parallel()
	d := detect.DefaultThresholds(t)
	for _, tc := range []struct {
		rule  string
		n     int
		every time.Duration
		learn func(*watch)
		try   func(w *watch, i int)
	}{
		{rule: detect.BruteForce, n: d.BruteForcePasswords, every: 10 * time.Minute, try: func(w *watch, i int) {
			w.try(try{password: uint64(i + 1)})
		}},
		{rule: detect.BruteForce, n: d.BruteForcePasswords, every: time.Second, learn: func(w *watch) { w.live(1, "", "") }, try: func(w *watch, i int) {
			outcome := attempt.Throttled
			if i == 0 {
				outcome = attempt.Failure // checked: the evidence begins with it
			}
			w.try(try{password: uint64(i + 1), outcome: outcome})
		}},
		{rule: detect.PasswordSpray, n: d.SprayAccounts, every: time.Hour, try: func(w *watch, i int) {
			w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1)})
		}},
		{rule: detect.CredentialStuffing, n: d.StuffingNames, every: time.Hour, try: func(w *watch, i int) {
			w.try(try{name: fmt.Sprint("user", i), unknown: i%4 != 0, password: uint64(i + 1)})
		}},
		{rule: detect.SamePassword, n: d.SamePasswordAccounts, every: 2 * time.Hour, try: func(w *watch, i int) {
			w.try(try{name: fmt.Sprint("user", i), password: 7, from: network(i)})
		}},
		{rule: detect.SamePassword, n: d.SamePasswordNetworks, every: 2 * time.Hour, try: func(w *watch, i int) {
			w.try(try{name: fmt.Sprint("user", i%3), password: 7, from: network(i)})
		}},
		{rule: detect.DistributedGuessing, n: d.DistributedNetworks, every: 2 * time.Hour, try: func(w *watch, i int) {
			w.try(try{password: uint64(i + 1), from: network(i)})
		}},
		// Few passwords, from many networks.
		{rule: detect.DistributedGuessing, n: 3 * d.DistributedNetworks, every: 13 * time.Second, try: func(w *watch, i int) {
			w.try(try{password: uint64(i%9 + 1), from: network(i)})
		}},
		{rule: detect.LowAndSlow, n: d.SlowTenMinutes, every: 11 * time.Minute, try: func(w *watch, i int) {
			w.try(try{password: uint64(i + 1)})
		}},
		{rule: detect.LowAndSlow, n: d.SlowHours, every: 2 * time.Hour, try: func(w *watch, i int) { w.try(try{password: uint64(i + 1)}) }},
		{rule: detect.LowAndSlow, n: d.SlowDays, every: 44 * time.Hour, try: func(w *watch, i int) { w.try(try{password: uint64(i + 1)}) }},
		{rule: detect.ScheduledGuessing, n: d.TickIntervals + 1, every: 7 * time.Hour, try: func(w *watch, i int) {
			w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1)})
		}},
		{rule: detect.ScheduledGuessing, n: d.TickIntervals + 1, every: 31 * time.Second, learn: func(w *watch) { w.live(1, "", "") }, try: func(w *watch, i int) {
			w.try(try{password: uint64(i + 1)})
		}},
		{rule: detect.SuccessAfterFailures, n: d.RunBeforeSuccess, every: 7 * time.Second, learn: func(w *watch) { w.live(1, "", network(1)) }, try: func(w *watch, i int) {
			w.try(try{password: uint64(i + 1)})
		}},
		{rule: detect.SuccessAfterFailures, n: d.BruteForcePasswords, every: 7 * time.Second, learn: func(w *watch) { w.live(1, "", "") }, try: func(w *watch, i int) {
			w.try(try{password: uint64(i + 1)})
		}},
		{rule: detect.SensitiveOnlyDenied, n: d.SensitiveDenials, every: time.Hour, try: func(w *watch, i int) {
			w.try(try{name: "root", unknown: true, password: 3, sensitive: true, route: fmt.Sprint("/admin/", i)})
		}},
		{rule: detect.UnusableAccount, n: d.UnusableTries, every: 24 * time.Hour, try: func(w *watch, _ int) {
			w.try(try{password: 3, reason: attempt.ReasonAccountDisabled})
		}},
		{rule: detect.FailureBurst, n: d.BurstFailures, every: 150 * time.Second, try: func(w *watch, i int) {
			w.try(try{name: fmt.Sprint("user", i%2), unknown: true, password: uint64(i + 1)})
		}},
		{rule: detect.EndpointFailureRatio, n: d.EndpointNames + 1, every: time.Second, learn: func(w *watch) {
			for range 50 {
				w.try(try{})
				w.pass(time.Hour)
			}
		}, try: func(w *watch, i int) {
			w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1), from: network(i)})
		}},
	} {
		for _, fires := range []bool{false, true} {
			n := tc.n - 1
			if fires {
				n = tc.n
			}
			t.Run(fmt.Sprintf("%s/%v/%v", tc.rule, tc.every, fires), func(t *testing.T) {
				t.Parallel()
				for key := range dice(testkit.Repeats(3, 20)) {
					w := newWatch(t, func(cfg *detect.Config) { cfg.Rand = key })
					if tc.learn != nil {
						tc.learn(w)
					}
					for i := range n {
						tc.try(w, i)
						w.pass(tc.every)
					}
					if tc.rule == detect.SuccessAfterFailures {
						w.try(try{})
					}
					if got := w.starts(tc.rule); (got > 0) != fires {
						t.Errorf("key %d: %d attempts cause %d episodes", key, n, got)
					}
				}
			})
		}
	}
}

// globe places addresses by their first byte.
type globe struct{}

func (globe) Locate(a netip.Addr) (lat, lon float64, ok bool) {
	switch a.As4()[0] {
	case 192:
		return 52.5, 13.4, true // Berlin
	case 198:
		return 52.0, 10.0, true // 240 km from there
	case 203:
		return -33.9, 151.2, true // Sydney
	}
	return 0, 0, false
}

func located(cfg *detect.Config) { cfg.Locator = globe{} }

func TestNewNetwork(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	w.live(3, "", "")
	w.try(try{from: network(1)})
	w.none("an account of three days")
	w = newWatch(t)
	w.live(8, "", "")
	w.try(try{from: "192.0.2.200"})
	w.none("another address of the same network")
	w.try(try{from: network(1)})
	if w.starts(detect.NewNetwork) != 1 {
		t.Error("a new network is not detected")
	}
	w.try(try{from: network(1)})
	if w.starts(detect.NewNetwork) != 1 {
		t.Error("a known network is reported again")
	}
	// An account that often changes networks does not fire the rule.
	w = newWatch(t)
	for i := range 8 {
		w.live(1, "", network(i))
	}
	w.found = nil
	w.try(try{from: network(100)})
	w.none("a traveller")
	// Nor does a network that many accounts have used for a week, such as a VPN.
	w = newWatch(t)
	for range 9 {
		for i := range 15 {
			w.try(try{name: fmt.Sprint("colleague", i), from: network(1)})
		}
		w.live(1, "", "")
	}
	w.try(try{from: network(1)})
	w.none("where the colleagues are")
}

// TestManyAccounts: one new network enters accounts that are used elsewhere.
func TestManyAccounts(t *testing.T) {
	t.Parallel()
	settled := func(n int) *watch {
		w := newWatch(t, located)
		for range 10 {
			for i := range n {
				w.try(try{name: fmt.Sprint("user", i), from: fmt.Sprintf("192.0.%d.9", i)})
			}
			w.pass(24 * time.Hour)
		}
		w.found = nil
		return w
	}
	w := settled(40)
	for i := range 40 {
		w.try(try{name: fmt.Sprint("user", i), from: network(1)})
		w.pass(11 * time.Minute)
		if want := i >= 6; (w.starts(detect.ManyAccounts) == 1) != want {
			t.Fatalf("%d accounts entered: %d episodes", i+1, w.starts(detect.ManyAccounts))
		}
	}
	for _, d := range w.found {
		if d.Rule.Name == detect.ManyAccounts && d.Phase == detect.Start && (len(d.Accounts) != 7 || d.AccountCount != 7 || len(d.Networks) != 1) {
			t.Errorf("the episode has accounts %v of %d in %v", d.Accounts, d.AccountCount, d.Networks)
		}
	}
	// The attacker's own successes make the network familiar to no rule.
	if n := w.starts(detect.NewNetwork); n != 40 {
		t.Errorf("new_network for %d of 40 accounts", n)
	}
	// Accounts that are known for a week and have used the network for another one make it
	// familiar.
	w = settled(40)
	for range 16 {
		for i := range 12 {
			w.try(try{name: fmt.Sprint("new", i), from: network(1)})
		}
		w.pass(24 * time.Hour)
	}
	for i := range 40 {
		w.try(try{name: fmt.Sprint("user", i), from: network(1)})
	}
	if n := w.starts(detect.ManyAccounts); n != 0 {
		t.Error("a network of many accounts for a week is one attacker")
	}
	// Nor is a first week an attack.
	w = newWatch(t)
	for day := range 7 {
		for i := range 100 {
			w.try(try{name: fmt.Sprint("user", i), from: network(1 + i/30 + day/3)})
		}
		w.pass(24 * time.Hour)
	}
	if n := w.starts(detect.ManyAccounts); n != 0 {
		t.Error("the first week is an attack")
	}
}

func TestImpossibleTravel(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		days  int
		from  string
		after time.Duration
		want  int
	}{
		{"Sydney within the hour", 8, network(1), time.Hour, 1},
		{"Sydney in the first week", 5, network(1), time.Hour, 0},
		{"Sydney by plane", 8, network(1), 22 * time.Hour, 0},
		{"the next town", 8, "198.51.100.1", time.Minute, 0},
		{"nowhere", 8, "10.0.0.1", time.Minute, 0},
	} {
		w := newWatch(t, located)
		w.live(tc.days, "", "")
		w.found = nil
		w.try(try{})
		w.pass(tc.after)
		w.try(try{from: tc.from})
		if got := w.starts(detect.ImpossibleTravel); got != tc.want {
			t.Errorf("%s: %d episodes, want %d", tc.name, got, tc.want)
		}
		if tc.want == 0 {
			continue
		}
		for _, d := range w.found {
			if d.Rule.Name == detect.ImpossibleTravel && (d.DistanceKm < 16_000 || d.DistanceKm > 16_200 || d.SpeedKmPerHour < 15_900 || len(d.Networks) != 2) {
				t.Errorf("%s: %.0f km at %.0f km/h between %v", tc.name, d.DistanceKm, d.SpeedKmPerHour, d.Networks)
			}
		}
	}
	w := newWatch(t)
	w.try(try{})
	w.try(try{from: network(1)})
	if w.starts(detect.ImpossibleTravel) != 0 {
		t.Error("impossible_travel fires without a Locator")
	}
}

// TestVPNIsNotAPlace: a user in a hotel continues to use a VPN that ends on another continent.
func TestVPNIsNotAPlace(t *testing.T) {
	t.Parallel()
	w := newWatch(t, located)
	for range 10 {
		w.live(1, "", "")
		w.try(try{})
		w.try(try{from: network(1)})
		w.pass(time.Hour)
		w.try(try{})
		w.pass(12 * time.Hour)
	}
	w.found = nil
	w.try(try{from: "198.51.100.1"})
	w.pass(10 * time.Minute)
	w.try(try{from: network(1)})
	if w.starts(detect.ImpossibleTravel) != 0 {
		t.Error("the VPN is a place")
	}
}

// TestIntruderBeforeOwner: the credential is used elsewhere first, and detected at the next use
// by its owner, also if the intruder has a second network.
func TestIntruderBeforeOwner(t *testing.T) {
	t.Parallel()
	for _, second := range []string{network(1), network(2)} {
		w := newWatch(t, located)
		w.live(8, "", "")
		w.pass(10 * time.Hour) // 26 hours after the last use
		for _, from := range []string{network(1), second, network(1)} {
			w.try(try{from: from})
		}
		if w.starts(detect.ImpossibleTravel) != 0 {
			t.Fatal("26 hours suffice for a flight to Sydney")
		}
		w.pass(20 * time.Minute)
		w.try(try{})
		if w.starts(detect.ImpossibleTravel) != 1 {
			t.Error("Berlin twenty minutes after Sydney is not detected; second network", second)
		}
	}
}

func TestConcurrentNetworks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		before       func(w *watch)
		rounds, want int
	}{
		"one of two networks is new":  {func(*watch) {}, 6, 1},
		"a decoy, which is newer":     {func(w *watch) { w.try(try{from: network(1)}); w.try(try{from: network(2)}) }, 6, 1},
		"a laptop and a phone, known": {func(w *watch) { w.live(3, "", network(1)); w.found = nil }, 20, 0},
	} {
		w := newWatch(t)
		w.live(10, "", "")
		c.before(w)
		for range c.rounds {
			w.try(try{from: network(1)})
			w.pass(time.Minute)
			w.try(try{})
			w.pass(time.Minute)
		}
		if got := w.starts(detect.ConcurrentNetworks); got != c.want {
			t.Errorf("%s: %d episodes, want %d", name, got, c.want)
		}
		if c.want == 0 {
			w.none(name)
		}
	}
}

// TestUnusualHour: the hours of an account are learned, forgotten, and tolerant of time zones.
func TestUnusualHour(t *testing.T) {
	t.Parallel()
	w := newWatch(t, turnedOn)
	w.live(13, "", "")
	w.pass(16 * time.Hour)
	w.try(try{})
	w.none("before the learning time is over") // 16 hours after the morning: midnight
	w = newWatch(t, turnedOn)
	w.live(15, "", "")
	w.pass(8 * time.Hour)
	w.try(try{})
	w.none("an hour next to those known")
	w.pass(10 * time.Hour)
	w.try(try{})
	if w.starts(detect.UnusualHour) != 1 {
		t.Error("two in the morning is not detected")
	}
	w.live(40, "", "")
	w.pass(17 * time.Hour)
	w.try(try{})
	if w.starts(detect.UnusualHour) != 2 {
		t.Error("one night six weeks ago makes the night usual")
	}
	// Daylight saving, or a journey within a few time zones: two hours earlier, then later.
	for _, shift := range []time.Duration{22 * time.Hour, 2 * time.Hour} {
		w = newWatch(t, turnedOn)
		w.live(20, "", "")
		w.pass(shift)
		w.live(20, "", "")
		w.none(fmt.Sprint("hours shifted by ", shift))
	}
	// An account without usual hours, such as that of a script.
	w = newWatch(t, turnedOn)
	for i := range 60 * 24 {
		if i%24 != 3 || i > 50*24 {
			w.try(try{})
		}
		w.pass(time.Hour)
	}
	w.none("an account that is used around the clock")
	// A network new to the account is the matter of new_network.
	w = newWatch(t, turnedOn)
	w.live(20, "", "")
	w.pass(16 * time.Hour)
	w.try(try{from: network(1)})
	if w.starts(detect.UnusualHour) != 0 {
		t.Error("a traveller has unusual hours")
	}
}

// TestSuccessDuringEpisode: a success from a network during its spray fires
// success_after_failures.
func TestSuccessDuringEpisode(t *testing.T) {
	t.Parallel()
	spray := func(learn int, success time.Duration) *watch {
		w := newWatch(t)
		w.live(learn, "owner", network(1))
		for i := range 15 {
			w.try(try{name: fmt.Sprint("user", i), password: uint64(i + 1)})
			w.pass(time.Duration(50+i*i) * time.Second)
			if d := time.Duration(i) * time.Minute; d == success {
				w.try(try{name: "user7"})
			}
		}
		w.pass(30 * time.Minute)
		w.try(try{name: "owner", from: network(1)})
		return w
	}
	for _, at := range []time.Duration{8 * time.Minute, 14 * time.Minute} {
		w := spray(2, at)
		if w.starts(detect.SuccessAfterFailures) != 1 {
			t.Errorf("the successful guess of a spray after %v is not detected", at)
			continue
		}
		for _, d := range w.found {
			if d.Rule.Name == detect.SuccessAfterFailures && d.Phase == detect.Start && (d.PartOf == 0 || d.Accounts[0] != "user7") {
				t.Errorf("the takeover is %+v", d)
			}
		}
	}
	// After a start, every network is new.
	if w := spray(0, 14*time.Minute); w.starts(detect.PasswordSpray) != 1 || w.starts(detect.SuccessAfterFailures) != 0 {
		t.Error("a success is a guess before the detector has learned")
	}
}

// TestExpiryMonday: 600 users have changed to a new VPN, or the process has started, and the
// passwords of all expire on a Monday. At most one episode has high severity.
func TestExpiryMonday(t *testing.T) {
	t.Parallel()
	const users = 600
	name := func(i int) string { return fmt.Sprint("user", i) }
	for _, learned := range []int{0, 1, 12} {
		w := newWatch(t, func(cfg *detect.Config) { cfg.Entries = 1 << 12 })
		for range learned {
			for i := range users {
				w.try(try{name: name(i)})
			}
			w.pass(24 * time.Hour)
		}
		w.found = nil
		type login struct {
			at       time.Duration
			name     string
			right    bool
			password uint64
		}
		rng := rand.New(rand.NewPCG(1, 2))
		var all []login
		for i := range users {
			at := time.Duration(rng.Int64N(int64(2 * time.Hour)))
			for n := range rng.IntN(4) + i%20/19*4 { // the old one, typos, and some forget
				all = append(all, login{at: at, name: name(i), password: uint64(10*i + n + 1)})
				at += time.Duration(rng.Int64N(int64(4 * time.Minute)))
			}
			all = append(all, login{at: at, name: name(i), right: true})
		}
		slices.SortFunc(all, func(a, b login) int { return cmp.Compare(a.at, b.at) })
		begin := w.now
		for _, l := range all {
			w.now = begin.Add(l.at)
			w.try(try{name: l.name, password: l.password, from: network(1)})
		}
		w.pass(time.Hour)
		for i := range 40 { // some were ill
			w.try(try{name: fmt.Sprint("late", i), from: network(1)})
			w.pass(3 * time.Minute)
		}
		high := map[string]int{}
		sum := 0
		for _, d := range w.found {
			if d.Phase == detect.Start && d.Rule.Severity == detect.High {
				high[d.Rule.Name]++
				sum++
			}
		}
		if sum > 1 {
			t.Errorf("after %d days: %v", learned, high)
		}
	}
}

// TestStaleCredential: 300 pods repeat one old password, each minute.
func TestStaleCredential(t *testing.T) {
	t.Parallel()
	w := newWatch(t)
	w.live(1, "pods", network(0))
	for range 10 {
		for pod := range 300 {
			w.try(try{name: "pods", password: 7, from: network(pod % 20)})
		}
		w.pass(time.Minute)
	}
	if w.starts("") != 1 || w.starts(detect.StaleCredential) != 1 {
		t.Fatalf("%d episodes, %d of them stale_credential", w.starts(""), w.starts(detect.StaleCredential))
	}
	if d := w.found[0]; d.Rule.Severity != detect.Low || len(d.Networks) != 8 || d.NetworkCount != 20 || d.Accounts[0] != "pods" {
		t.Errorf("the episode is %+v", d)
	}
	// A phone with an old password is not an outage, nor is a password that many accounts are tried
	// with.
	w = newWatch(t, func(cfg *detect.Config) { cfg.Off = []string{detect.SamePassword, detect.PasswordSpray} })
	for i := range 20 * 60 {
		if i%15 == 0 {
			w.try(try{password: 7})
		}
		w.try(try{name: fmt.Sprint("user", i%12), password: 8})
		w.pass(time.Minute)
	}
	if w.starts(detect.StaleCredential) != 0 {
		t.Error("a phone or a spray is an outage")
	}
}

// TestMarksInMassAttack: while many accounts are guessed at, only a network that takes part in the
// attack makes a success a takeover.
func TestMarksInMassAttack(t *testing.T) {
	t.Parallel()
	w := newWatch(t, func(cfg *detect.Config) { cfg.Entries = 1 << 12 })
	name := func(i int) string { return fmt.Sprint("user", i%40) }
	for range 3 {
		for i := range 40 {
			w.try(try{name: name(i), from: network(1000 + i)})
		}
		w.pass(24 * time.Hour)
	}
	for i := range 40 * 14 { // 14 passwords for each of 40 accounts, from 101 networks
		w.try(try{name: name(i), password: uint64(i + 1), from: network(i * 7 % 101)})
		w.pass(time.Minute + time.Duration(i%7)*time.Second)
	}
	before := w.starts(detect.SuccessAfterFailures)
	for i := range 20 {
		w.try(try{name: name(i), from: network(2000 + i)})
		w.pass(time.Minute)
	}
	w.pass(time.Hour)
	w.try(try{name: "user39", from: network(1039)})
	if n := w.starts(detect.SuccessAfterFailures); n != before {
		t.Errorf("%d owners in new networks are marked", n-before)
	}
	for i := range 20 {
		w.try(try{name: name(20 + i), from: network(i)})
	}
	if n := w.starts(detect.SuccessAfterFailures) - before; n < 18 {
		t.Errorf("%d of 20 takeovers are marked", n)
	}
}
