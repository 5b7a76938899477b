// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"fmt"
	"slices"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// kind is what an attacker does.
type kind struct {
	every     time.Duration // mean time between attempts at speed 1
	isRegular bool          // attempts come at equal intervals
	isStolen  bool          // the attacker has the right password
	// entries is the number of accounts whose right passwords the attacker has and uses, once each.
	entries int
	// offset is the first use of a stolen credential after the start of the victim's working day.
	offset time.Duration
	// try completes an attempt at the victim.
	try func(t *attacker, ev *event)
	// owns reports whether a detection by the rule is about the attack, beside those from its
	// networks.
	owns func(t *attacker, d *detect.Detection) bool
	// isAlone means that [Rounds] plays the attack alone: two attacks of many networks at a time
	// are the same to detection, and guesses in the network of an owner accuse the owner.
	isAlone bool
	// rule is the rule that must detect a variant.
	rule string
	// prefix is the number of bits of the IPv6 prefix that the attacker has; 0 for IPv4.
	prefix int
}

// Variants of the attack on a rule, for [Attack].Variant.
const (
	// UniqueSpray tries a new password on each of all accounts, over 500 networks. One in 100 is
	// right.
	UniqueSpray = "spray of unique passwords"
	// FewPasswords tries the same nine passwords on one account, from 1,000 networks.
	FewPasswords = "nine passwords for one account"
	// Spray32 and Spray40 try each account once, each from another /48 of an IPv6 prefix.
	Spray32 = "spray from an IPv6 /32"
	Spray40 = "spray from an IPv6 /40"
	// FromHome guesses in the network of the owner, 14 times a day.
	FromHome = "guesses in the owner's network"
)

// variants has the attacks that are no rule's own.
var variants = map[string]kind{
	UniqueSpray: {rule: detect.DistributedStuffing, isAlone: true, every: 30 * time.Second, try: func(t *attacker, ev *event) {
		t.aim(ev, t.victim+t.tries*37)
		ev.client = t.from(t.rng.IntN(500))
		if t.rng.IntN(100) > 0 {
			ev.password = t.password()
		}
	}},
	FewPasswords: {rule: detect.DistributedGuessing, every: 13 * time.Second, try: func(t *attacker, ev *event) {
		ev.password = t.wrong + 1 + uint64(t.tries%9)
		ev.client = t.from(t.tries % t.attack.Networks)
	}},
	Spray32: {rule: detect.PasswordSpray, prefix: 32, every: time.Minute, try: sprayOver},
	Spray40: {rule: detect.PasswordSpray, prefix: 40, every: time.Minute, try: sprayOver},
	FromHome: {rule: detect.BruteForce, isAlone: true, every: 24 * time.Hour / 14, try: func(t *attacker, ev *event) {
		ev.password = t.password()
		ev.client = t.world.users[t.victim].home.address(77)
	}, owns: func(t *attacker, d *detect.Detection) bool {
		return slices.Contains(d.Accounts, t.world.users[t.victim].name)
	}},
}

// sprayOver tries a password on each user, each from another network of the prefix.
func sprayOver(t *attacker, ev *event) {
	t.aim(ev, t.victim+t.tries*31)
	ev.password = t.password()
	ev.client = t.from(t.tries % (1 << (48 - t.kind.prefix)))
}

// kinds has one attack for each rule of detect. The tests play each one and expect its rule to
// fire.
var kinds = map[string]kind{
	detect.BruteForce: {every: time.Minute, try: guess},
	detect.PasswordSpray: {every: time.Minute, try: func(t *attacker, ev *event) {
		t.aim(ev, t.victim+t.tries*37)
		ev.password = t.wrong + uint64(t.tries/len(t.world.users)) + 1
	}},
	detect.CredentialStuffing: {every: time.Minute, try: func(t *attacker, ev *event) {
		ev.password = t.password()
		if t.rng.Float64() < 0.85 {
			ev.account, ev.name = -1, fmt.Sprintf("leaked%d-%d", t.index, t.tries)
		} else {
			t.aim(ev, t.rng.IntN(len(t.world.users)))
		}
	}},
	detect.SamePassword: {every: 6 * time.Minute, try: func(t *attacker, ev *event) {
		t.aim(ev, t.victim+t.tries*41)
		ev.password = t.wrong + 1
		ev.client = t.from(t.tries % t.attack.Networks)
	}},
	detect.DistributedGuessing: {every: 10 * time.Minute, try: func(t *attacker, ev *event) {
		ev.password = t.password()
		ev.client = t.from(t.tries % t.attack.Networks)
	}},
	detect.LowAndSlow: {every: time.Hour, try: guess},
	detect.ScheduledGuessing: {every: time.Hour, isRegular: true, try: func(t *attacker, ev *event) {
		t.aim(ev, t.victim+t.tries*43)
		ev.password = t.password()
	}},
	detect.SuccessAfterFailures: {every: time.Minute, try: func(t *attacker, ev *event) {
		if t.tries != 24 {
			ev.password = t.password()
		}
	}},
	detect.NewNetwork:         {every: time.Hour, isStolen: true, offset: 2 * time.Hour, try: use},
	detect.ImpossibleTravel:   {every: time.Hour, isStolen: true, offset: 2 * time.Hour, try: use},
	detect.ConcurrentNetworks: {every: time.Minute, isStolen: true, offset: 2 * time.Hour, try: use},
	// At four in the morning, from the home of the victim.
	detect.UnusualHour: {every: time.Hour, isStolen: true, offset: -5 * time.Hour, try: func(t *attacker, ev *event) {
		ev.client = t.world.users[t.victim].home.address(77)
	}, owns: func(t *attacker, d *detect.Detection) bool {
		return slices.Contains(d.Accounts, t.world.users[t.victim].name)
	}},
	detect.EndpointFailureRatio: {every: 6 * time.Second, isAlone: true, try: func(t *attacker, ev *event) {
		ev.password = t.password()
		ev.client = t.from(t.tries % 60_000)
		ev.route = attackedRoute
		ev.account, ev.name = -1, fmt.Sprintf("list%d", t.tries)
	}, owns: func(_ *attacker, d *detect.Detection) bool { return d.Route == attackedRoute }},
	detect.SensitiveOnlyDenied: {every: 6 * time.Minute, try: func(t *attacker, ev *event) {
		ev.password = t.password()
		ev.account, ev.name = -1, "admin"
		ev.route, ev.secret = "/admin/{page}", true
	}},
	// Forty accounts, one after the other, with the right passwords.
	detect.ManyAccounts: {every: 10 * time.Minute, entries: 40, try: func(t *attacker, ev *event) {
		t.aim(ev, t.victim+t.tries*3)
	}},
	// 10,000 leaked pairs in a day, three from each network, one in 200 of them right.
	detect.DistributedStuffing: {every: 9 * time.Second, isAlone: true, try: func(t *attacker, ev *event) {
		ev.client = t.from(t.tries / 3 % 60_000)
		ev.account, ev.name = -1, fmt.Sprintf("pair%d-%d", t.index, t.tries)
		ev.password = t.password()
		if t.tries%200 == 101 {
			t.aim(ev, t.victim+t.tries/200)
			ev.password = 0
		}
	}},
	// One wrong password for one account, which looks like an outage.
	detect.StaleCredential: {every: 3 * time.Second, try: func(t *attacker, ev *event) {
		ev.password = t.wrong + 1
	}},
	// As a bot tries a short list of names and passwords, and leaves.
	detect.FailureBurst: {every: 10 * time.Second, try: func(t *attacker, ev *event) {
		ev.password = t.password()
		ev.client = t.from(t.tries / 6)
		ev.account, ev.name = -1, [...]string{"root", "admin", "test"}[t.tries%3]
	}},
	detect.UnusableAccount: {every: 6 * time.Minute, try: func(t *attacker, ev *event) {
		ev.password, ev.disabled = t.wrong+1, true
	}},
}

// guess tries a new wrong password on the victim.
func guess(t *attacker, ev *event) { ev.password = t.password() }

// use logs in as the victim from the network of the attacker.
func use(*attacker, *event) {}
