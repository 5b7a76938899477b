// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// Attack is one attacker.
type Attack struct {
	// Rule is the name of the rule that must detect the attack; it selects what the attacker does.
	Rule string
	// Variant, if not empty, is another attack that a rule must detect, such as [UniqueSpray]. It
	// determines Rule.
	Variant string
	// Speed multiplies the default rate of the attack. Default: 1.
	Speed float64
	// Every is the mean time between two attempts. It overrides Speed. Default: that of the
	// attack.
	Every time.Duration
	// Networks is the number of /24s of a distributed attack. Default: 1,000.
	Networks int
	// Begin is the day on which the attack begins. Default: 15, because rules learn habits for 14
	// days.
	Begin int
}

// Attacks returns one attack for each rule that is on by default, at a multiple of its default
// speed.
func Attacks(speed float64) []Attack {
	var all []Attack
	for _, r := range detect.Rules() {
		if !r.Optional {
			all = append(all, Attack{Rule: r.Name, Speed: speed})
		}
	}
	return all
}

// Rounds returns the attacks of [Attacks], all variants and the attacks on rules that are off by
// default, in groups that can run beside each other: attacks of many networks, [FromHome], and
// those on rules that [Scenario].On must turn on run alone.
func Rounds(speed float64) (rounds [][]Attack) {
	rounds = [][]Attack{nil}
	add := func(k kind, a Attack) {
		if k.isAlone {
			rounds = append(rounds, []Attack{a})
		} else {
			rounds[0] = append(rounds[0], a)
		}
	}
	for _, a := range Attacks(speed) {
		add(kinds[a.Rule], a)
	}
	for _, name := range slices.Sorted(maps.Keys(variants)) {
		add(variants[name], Attack{Variant: name, Rule: variants[name].rule, Speed: speed})
	}
	for _, r := range detect.Rules() {
		if r.Optional {
			rounds = append(rounds, []Attack{{Rule: r.Name, Speed: speed}})
		}
	}
	return rounds
}

const (
	defaultAttackDay = 15
	defaultNetworks  = 1000
	// tryLimit is the most attempts of one attack.
	tryLimit = 20_000
)

type attacker struct {
	attack Attack
	kind   kind
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
	k, ok := kinds[a.Rule]
	if a.Variant != "" {
		k, ok = variants[a.Variant]
		a.Rule = k.rule
	}
	if !ok {
		return nil, fmt.Errorf("simulate: no attack %q; use a name of detect.Rules, and add new rules to kinds", cmp.Or(a.Variant, a.Rule))
	}
	if index >= 100 {
		return nil, fmt.Errorf("simulate: %d attacks; use at most 100, one network each", index+1)
	}
	if w.s.Users < 100 {
		return nil, fmt.Errorf("simulate: %d users are too few to attack; use at least 100", w.s.Users)
	}
	if a.Speed == 0 {
		a.Speed = 1
	}
	if a.Every == 0 {
		a.Every = time.Duration(float64(k.every) / a.Speed)
	}
	if a.Begin == 0 {
		a.Begin = defaultAttackDay
	}
	if a.Networks == 0 {
		a.Networks = defaultNetworks
	}
	if a.Every <= 0 || a.Begin < 0 || a.Networks < 0 || a.Networks > 1<<16 {
		return nil, fmt.Errorf("simulate: attack %s needs Speed and Every above 0, Begin from 0, and Networks from 1 to 65,536", a.Rule)
	}
	t := &attacker{
		attack: a, kind: k, index: index, rng: rng, world: w, begin: time.Duration(a.Begin) * dayLong,
		wrong: uint64(index+1) << 48,
	}
	t.victim = t.choose()
	t.begin += time.Duration(rng.Int64N(int64(4 * time.Hour)))
	if k.isStolen {
		t.begin = t.begin.Truncate(dayLong) + w.users[t.victim].starts + k.offset
	}
	t.next = t.begin
	return t, nil
}

// choose returns a victim. The victim of a stolen credential is present and keeps to its networks
// and hours: the rules cannot tell other users from an intruder, and do not claim to.
func (t *attacker) choose() int {
	for i := t.index; ; i += 101 {
		u := &t.world.users[i%len(t.world.users)]
		if !t.kind.isStolen || u.regular && !u.mobile && u.vpn == nil || i > 100*len(t.world.users) {
			u.stays = t.kind.isStolen
			return i % len(t.world.users)
		}
	}
}

func (t *attacker) password() uint64 {
	t.wrong++
	return t.wrong
}

// from returns an address in the n-th /24 or /48 of the attack.
func (t *attacker) from(n int) netip.Addr {
	if t.kind.prefix != 0 {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, byte(t.index), 4: byte(n >> 8), 5: byte(n), 15: 1})
	}
	return netip.AddrFrom4([4]byte{byte(firstAttack + t.index), byte(n >> 8), byte(n), byte(1 + t.tries%3)})
}

// owns reports whether d detects this attack.
func (t *attacker) owns(d *detect.Detection, start time.Time) bool {
	// A Detector truncates times to seconds.
	if d.Time.Before(start.Add(t.begin).Truncate(time.Second)) {
		return false
	}
	if t.kind.owns != nil && d.Rule.Name == t.attack.Rule && t.kind.owns(t, d) {
		return true
	}
	for _, n := range d.Networks {
		if a := n.Addr(); a.Is4() && int(a.As4()[0]) == firstAttack+t.index || a.Is6() && int(a.As16()[3]) == t.index {
			return true
		}
	}
	return false
}

const attackedRoute = "/orders/{id}"

// day appends the attempts of a day.
func (t *attacker) day(day int, out []event) []event {
	end := time.Duration(day+1) * dayLong
	for t.next < end && t.tries < cmp.Or(t.kind.entries, tryLimit) {
		if t.next >= time.Duration(day)*dayLong {
			out = append(out, t.try())
		}
		t.tries++
		wait := float64(t.attack.Every)
		if t.kind.isRegular {
			wait *= 0.98 + 0.04*t.rng.Float64()
		} else {
			wait *= 0.5 + t.rng.Float64()
		}
		t.next += max(time.Duration(wait), time.Millisecond)
	}
	return out
}

func (t *attacker) try() event {
	ev := event{at: t.next, client: t.from(0), route: t.world.routes[1], attacker: t.index + 1}
	t.aim(&ev, t.victim)
	t.kind.try(t, &ev)
	return ev
}

// aim makes ev an attempt at a user.
func (t *attacker) aim(ev *event, user int) {
	user %= len(t.world.users)
	ev.account, ev.name = user, t.world.users[user].name
}
