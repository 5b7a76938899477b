// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// Attack is one attacker.
type Attack struct {
	// Rule is the rule that is meant to find it, a name of [detect.Rules]; it says what the attacker does, too.
	Rule string
	// Speed multiplies the rate that [DefaultEvery] states. Default: 1.
	Speed float64
	// Every, when set, is the mean time between two tries, in place of the rate that Speed is of.
	Every time.Duration
	// Networks is from how many /24s a distributed one comes. Default: 1,000.
	Networks int
	// Begin is the day on which it begins. Default: 15; learned habits need 14 days.
	Begin int
}

// DefaultEvery is the mean time between two tries of an attack at speed 1.
func DefaultEvery(rule string) time.Duration {
	switch rule {
	case detect.BruteForce, detect.PasswordSpray, detect.CredentialStuffing, detect.SuccessAfterFailures, detect.ConcurrentNetworks:
		return time.Minute
	case detect.SamePassword, detect.SensitiveOnlyDenied, detect.UnusableAccount:
		return 6 * time.Minute
	case detect.DistributedGuessing:
		return 10 * time.Minute
	case detect.EndpointFailureRatio:
		return 6 * time.Second
	}
	return time.Hour // low and slow, scheduled, and the uses of a captured credential
}

// Attacks returns one attack for each rule, all at speed.
func Attacks(speed float64) []Attack {
	var all []Attack
	for _, r := range detect.Rules() {
		all = append(all, Attack{Rule: r.Name, Speed: speed})
	}
	return all
}

const (
	defaultAttackDay = 15
	defaultNetworks  = 1000
	// tryLimit bounds an attack that nobody stops.
	tryLimit = 20_000
)

type attacker struct {
	attack Attack
	index  int
	rng    *rand.Rand
	world  *world
	begin  time.Duration
	next   time.Duration
	tries  int
	victim int
	wrong  uint64
}

func newAttacker(a Attack, index int, w *world, rng *rand.Rand) (*attacker, error) {
	if !slices.ContainsFunc(detect.Rules(), func(r detect.Rule) bool { return r.Name == a.Rule }) {
		return nil, fmt.Errorf("simulate: no rule %q to attack; see detect.Rules", a.Rule)
	}
	if index >= 100 {
		return nil, fmt.Errorf("simulate: %d attacks; at most 100 fit beside the honest networks", index+1)
	}
	if w.s.Users < 100 {
		return nil, fmt.Errorf("simulate: %d users are too few to attack; at least 100", w.s.Users)
	}
	if a.Speed == 0 {
		a.Speed = 1
	}
	if a.Every == 0 {
		a.Every = time.Duration(float64(DefaultEvery(a.Rule)) / a.Speed)
	}
	if a.Begin == 0 {
		a.Begin = defaultAttackDay
	}
	if a.Networks == 0 {
		a.Networks = defaultNetworks
	}
	if a.Every <= 0 || a.Begin < 0 || a.Networks < 0 || a.Networks > 1<<16 {
		return nil, fmt.Errorf("simulate: attack %s wants a speed above 0, a day from 0 on, and 1 to 65,536 networks", a.Rule)
	}
	t := &attacker{
		attack: a, index: index, rng: rng, world: w, begin: time.Duration(a.Begin) * dayLong,
		wrong: uint64(index+1) << 48,
	}
	t.victim = t.choose()
	t.begin += time.Duration(rng.Int64N(int64(4 * time.Hour)))
	if a.Rule == detect.UnusualHour {
		// Four in the morning, where the victim lives.
		u := &w.users[t.victim]
		t.begin = t.begin.Truncate(dayLong) + u.starts - 5*time.Hour
	}
	if a.Rule == detect.NewNetwork || a.Rule == detect.ImpossibleTravel || a.Rule == detect.ConcurrentNetworks {
		t.begin = t.begin.Truncate(dayLong) + w.users[t.victim].starts + 2*time.Hour
	}
	t.next = t.begin
	return t, nil
}

// choose returns a victim. Those of captured credentials are there, and keep to their networks and hours: whoever does not
// cannot be told from an intruder, and the rules say that they do not try.
func (t *attacker) choose() int {
	captured := false
	switch t.attack.Rule {
	case detect.NewNetwork, detect.ImpossibleTravel, detect.ConcurrentNetworks, detect.UnusualHour:
		captured = true
	}
	for i := t.index; ; i += 100 {
		u := &t.world.users[i%len(t.world.users)]
		if !captured || u.regular && !u.mobile && u.vpn == nil || i > 100*len(t.world.users) {
			u.stays = captured
			return i % len(t.world.users)
		}
	}
}

func (t *attacker) password() uint64 {
	t.wrong++
	return t.wrong
}

// from is an address in the attack's own /24 at index n.
func (t *attacker) from(n int) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(firstAttack + t.index), byte(n >> 8), byte(n), byte(1 + t.tries%3)})
}

// owns reports whether a detection is about this attack.
func (t *attacker) owns(d *detect.Detection, start time.Time) bool {
	if d.Time.Before(start.Add(t.begin).Truncate(time.Second)) { // the Detector's time is in seconds
		return false
	}
	if t.attack.Rule == detect.EndpointFailureRatio && d.Rule.Name == detect.EndpointFailureRatio {
		return d.Route == attackedRoute
	}
	for _, n := range d.Networks {
		if n.Addr().Is4() && int(n.Addr().As4()[0]) == firstAttack+t.index {
			return true
		}
	}
	// Alone this one comes from the victim's own network.
	return t.attack.Rule == detect.UnusualHour && d.Rule.Name == detect.UnusualHour &&
		slices.Contains(d.Accounts, t.world.users[t.victim].name)
}

const attackedRoute = "/orders/{id}"

// day appends the tries of a day.
func (t *attacker) day(day int, out []event) []event {
	end := time.Duration(day+1) * dayLong
	for t.next < end && t.tries < tryLimit {
		if t.next >= time.Duration(day)*dayLong {
			out = append(out, t.try())
		}
		t.tries++
		wait := float64(t.attack.Every)
		if t.attack.Rule == detect.ScheduledGuessing {
			wait *= 0.98 + 0.04*t.rng.Float64() // a machine's
		} else {
			wait *= 0.5 + t.rng.Float64()
		}
		t.next += max(time.Duration(wait), time.Millisecond)
	}
	return out
}

func (t *attacker) try() event {
	w := t.world
	ev := event{at: t.next, client: t.from(0), route: w.routes[1], attacker: t.index + 1}
	account := func(i int) {
		ev.account, ev.name = i, w.users[i].name
	}
	account(t.victim)
	switch t.attack.Rule {
	case detect.PasswordSpray:
		account((t.victim + t.tries*37) % len(w.users))
		ev.password = t.wrong + uint64(t.tries/len(w.users)) + 1
	case detect.CredentialStuffing:
		ev.password = t.password()
		if t.rng.Float64() < 0.85 {
			ev.account, ev.name = -1, fmt.Sprintf("leaked%d-%d", t.index, t.tries)
		} else {
			account(t.rng.IntN(len(w.users)))
		}
	case detect.SamePassword:
		account((t.victim + t.tries*41) % len(w.users))
		ev.password = t.wrong + 1
		ev.client = t.from(t.tries % t.attack.Networks)
	case detect.DistributedGuessing:
		ev.password = t.password()
		ev.client = t.from(t.tries % t.attack.Networks)
	case detect.ScheduledGuessing:
		account((t.victim + t.tries*43) % len(w.users))
		ev.password = t.password()
	case detect.SuccessAfterFailures:
		if t.tries != 24 {
			ev.password = t.password()
		}
	case detect.NewNetwork, detect.ImpossibleTravel, detect.ConcurrentNetworks, detect.UnusualHour:
		ev.password = 0
		if t.attack.Rule == detect.UnusualHour {
			ev.client = w.users[t.victim].home.address(77)
		}
	case detect.EndpointFailureRatio:
		ev.password = t.password()
		ev.client = t.from(t.tries % 60_000)
		ev.route = attackedRoute
		ev.account, ev.name = -1, fmt.Sprintf("list%d", t.tries)
	case detect.SensitiveOnlyDenied:
		ev.password = t.password()
		ev.account, ev.name = -1, "admin"
		ev.route, ev.secret = "/admin/{page}", true
	case detect.UnusableAccount:
		ev.password, ev.disabled = t.wrong+1, true
	default: // brute force, low and slow
		ev.password = t.password()
	}
	return ev
}
