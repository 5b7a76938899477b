// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
)

// block is a block of one address.
type block struct {
	addr netip.Addr
	at   time.Time
	by   string // the scenario, if a program has several
}

// findings are the blocks and refusals of one program.
type findings struct {
	blocks  []block
	refused map[int]bool // attempts, by their index
}

// parseFindings parses the output of a driver.
func parseFindings(out []byte) (findings, error) {
	f := findings{refused: map[int]bool{}}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var l struct {
			Block   string
			At      float64
			By      string
			Refused *int
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return f, fmt.Errorf("detection: a driver printed %q: %w", lines.Text(), err)
		}
		if l.Refused != nil {
			f.refused[*l.Refused] = true
			continue
		}
		addr, err := netip.ParseAddr(l.Block)
		if err != nil {
			return f, fmt.Errorf("detection: a driver printed %q: %w", lines.Text(), err)
		}
		f.blocks = append(f.blocks, block{addr, time.UnixMilli(int64(l.At * 1000)).UTC(), l.By})
	}
	return f, lines.Err()
}

// refuseFor marks attempts of a blocked address within d of its block as refused.
func (f *findings) refuseFor(r *recording, d time.Duration) {
	blocks := map[netip.Addr][]time.Time{}
	for _, b := range f.blocks {
		blocks[b.addr] = append(blocks[b.addr], b.at)
	}
	for i, a := range r.attempts {
		for _, at := range blocks[a.Client] {
			if a.Time.After(at) && a.Time.Before(at.Add(d)) {
				f.refused[i] = true
			}
		}
	}
}

// attackScore is the result of one attack.
type attackScore struct {
	detected bool
	tries    int           // until then
	after    time.Duration // since the first attempt
	blocks   int           // addresses
	refused  float64       // part of its attempts
}

// honestScore is the result of honest users.
type honestScore struct {
	addrs    int // blocked at least once
	accounts int // refused at least once with right credentials
	refused  int // right credentials refused
}

// score counts. An attack is detected at the first block of one of its addresses, from the second
// of its first attempt on.
func score(r *recording, f findings) ([]attackScore, honestScore) {
	attacks := make([]attackScore, len(r.attacks))
	hostile := r.hostile()
	first := make([]time.Time, len(attacks))
	tries, refused := make([]int, len(attacks)), make([]int, len(attacks))
	accounts := map[string]bool{}
	var honest honestScore
	for i, a := range r.attempts {
		if a.Attack >= 0 {
			if tries[a.Attack]++; first[a.Attack].IsZero() {
				first[a.Attack] = a.Time
			}
			if f.refused[i] {
				refused[a.Attack]++
			}
		} else if f.refused[i] && a.Outcome == attempt.Success {
			honest.refused++
			accounts[a.Name] = true
		}
	}
	honest.accounts = len(accounts)
	seen := map[netip.Addr]bool{}
	when := make([]time.Time, len(attacks))
	for _, b := range f.blocks {
		attack, ok := hostile[b.addr]
		switch {
		case ok && !b.at.Before(first[attack].Truncate(time.Second)):
			if when[attack].IsZero() || b.at.Before(when[attack]) {
				when[attack] = b.at
			}
			if !seen[b.addr] {
				attacks[attack].blocks++
			}
		case !seen[b.addr]:
			honest.addrs++
		}
		seen[b.addr] = true
	}
	for i := range attacks {
		if tries[i] > 0 {
			attacks[i].refused = float64(refused[i]) / float64(tries[i])
		}
		if !when[i].IsZero() {
			attacks[i].detected, attacks[i].after = true, max(when[i].Sub(first[i]), 0)
		}
	}
	for _, a := range r.attempts {
		// Log times have seconds only.
		if a.Attack >= 0 && attacks[a.Attack].detected && !a.Time.Truncate(time.Second).After(when[a.Attack]) {
			attacks[a.Attack].tries++
		}
	}
	return attacks, honest
}
