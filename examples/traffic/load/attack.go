// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/examples/shop/customers"
)

// Attack is a strategy of guessing.
type Attack string

// The attacks.
const (
	// None makes no guesses.
	None Attack = "none"
	// Spray tries one password on every name, from one host, then the next password.
	Spray Attack = "spray"
	// Distributed tries one name, with each guess from another network.
	Distributed Attack = "distributed"
	// LowAndSlow tries one name, with one guess every Config.Pace.
	LowAndSlow Attack = "low-and-slow"
	// Stuffing tries pairs of name and password from a leak of another service, once each.
	Stuffing Attack = "stuffing"
)

// Attacks lists all attacks.
func Attacks() []Attack { return []Attack{None, Spray, Distributed, LowAndSlow, Stuffing} }

// ParseAttack returns the attack of that name. Its error lists the names.
func ParseAttack(name string) (Attack, error) {
	var known []string
	for _, a := range Attacks() {
		if name == string(a) {
			return a, nil
		}
		known = append(known, string(a))
	}
	return "", fmt.Errorf("load: %q is not an attack; choose one of %s", name, strings.Join(known, ", "))
}

// What the attackers know. The common passwords begin with the one that a customer has.
var (
	common = []string{
		"Winter2026!", "Password1!", "Summer2026!", "Welcome123", "Qwertz!234", "Letmein2026", "Football#1", "Monday2026!",
		"Autumn2026!", "Admin@1234", "Iloveyou22", "Spring2026!",
	}
	// strangers are typical names of service accounts, which an attacker guesses.
	strangers = []string{"admin", "root", "test", "returns-desk", "backup", "support"}
)

// Hosts of the attackers.
var (
	sprayer = netip.MustParseAddr("198.51.100.66") // RFC 5737
	patient = netip.MustParseAddr("203.0.113.77")  // RFC 5737
	leaker  = netip.MustParseAddr("203.0.113.199") // RFC 5737
)

// victim is the account that attacks on one account guess.
const victim = "alice"

// Guess returns the i-th guess of the attack, from 0. It reports false if the attack makes none.
func (a Attack) Guess(i int) (Visit, bool) {
	v := Visit{Who: Attacker, Method: "GET", Path: "/orders", Name: victim}
	switch a {
	case Spray:
		names := names()
		v.From, v.Name, v.Password = sprayer, names[i%len(names)], turn(common, i/len(names))
	case Distributed:
		v.From, v.Password = bot(i), turn(common, i)
	case LowAndSlow:
		v.From, v.Password = patient, turn(common, i)
	case Stuffing:
		v.From, v.Name, v.Password = leaker, fmt.Sprintf("member%04d", i), fmt.Sprintf("leaked-%06x", uint32(i)*2654435761)
		if i%10 == 9 { // some of the leak's members are customers, with another password
			v.Name = customers.All[i/10%len(customers.All)].Name
		}
	default:
		return Visit{}, false
	}
	return v, true
}

// names are those that a sprayer tries: all customers, with strangers between them.
func names() []string {
	var all []string
	for i, c := range customers.All {
		all = append(all, c.Name)
		if i%3 == 2 {
			all = append(all, strangers[i/3%len(strangers)])
		}
	}
	return all
}

// turn returns the i-th word of an endless list, so that no password repeats.
func turn(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return fmt.Sprintf("%s%d", list[i%len(list)], i/len(list))
}

// bot returns the i-th host of 512, each in a /24 of its own in 198.18.0.0/15 (RFC 2544).
func bot(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18 + byte(i/256%2), byte(i % 256), 23})
}

// DefaultPace is the time between two guesses of [LowAndSlow]. It is just above the half minute
// that the rule scheduled_guessing looks for, so that a demonstration takes minutes instead of
// days.
const DefaultPace = 31 * time.Second
