// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package flood

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Think is how long a paced attacker waits between two guesses on one connection.
const Think = 100 * time.Millisecond

// Cell is one situation in which every peer is measured. The zero Cell has no attackers.
type Cell struct {
	// Paced attackers wait [Think] after each answer; the others send at once.
	Paced bool
	// Sources is the number of addresses of the attack; 0 is no attack.
	Sources int
	// First adds first logins: right credentials that were not used before.
	First bool
	// Names says which names the attacker guesses. The zero value is known names.
	Names Names
}

// Names says which names the attacker guesses.
type Names uint8

const (
	// Known names are accounts, including that of the right client.
	Known Names = iota
	// Unknown names are new with every guess.
	Unknown
	// Mixed names alternate between known and unknown.
	Mixed
)

// ParseCell parses "idle", "paced/64", "closed/1+first", "closed/64+first+unknown".
func ParseCell(s string) (Cell, error) {
	parts := strings.Split(s, "+")
	var c Cell
	mode, sources, _ := strings.Cut(parts[0], "/")
	switch mode {
	case "idle":
	case "paced", "closed":
		n, err := strconv.Atoi(sources)
		if err != nil || n < 1 || n > 250 {
			return Cell{}, fmt.Errorf("flood: cell %q: want %s/N with 1 to 250 source addresses", s, mode)
		}
		c.Paced, c.Sources = mode == "paced", n
	default:
		return Cell{}, fmt.Errorf("flood: cell %q: want idle, paced/N or closed/N", s)
	}
	for _, option := range parts[1:] {
		switch option {
		case "first":
			c.First = true
		case "unknown":
			c.Names = Unknown
		case "mixed":
			c.Names = Mixed
		default:
			return Cell{}, fmt.Errorf("flood: cell %q: unknown option %q, want first, unknown or mixed", s, option)
		}
	}
	return c, nil
}

// String returns the form that [ParseCell] parses.
func (c Cell) String() string {
	s := "idle"
	switch {
	case c.Sources > 0 && c.Paced:
		s = "paced/" + strconv.Itoa(c.Sources)
	case c.Sources > 0:
		s = "closed/" + strconv.Itoa(c.Sources)
	}
	if c.First {
		s += "+first"
	}
	switch c.Names {
	case Unknown:
		s += "+unknown"
	case Mixed:
		s += "+mixed"
	}
	return s
}

// sourceAddr returns the i-th attacker's address. Each is in a /24 of its own, so a peer that
// counts by network sees as many networks as addresses.
func sourceAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 16, byte(i), 1}) }

// Addresses of the honest clients.
var (
	rightAddr = netip.AddrFrom4([4]byte{127, 200, 0, 1})
	firstAddr = netip.AddrFrom4([4]byte{127, 201, 0, 1})
)
