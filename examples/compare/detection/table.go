// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package detection

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/internal/simulate"
	"github.com/otelauth/otelauth-go/otelauth/detect"
)

// column is the result of one program.
type column struct {
	name    string
	attacks []attackScore
	honest  honestScore
	found   findings
	by      string // its scenarios, if it has several
}

// comparison is one run.
type comparison struct {
	scenario  simulate.Scenario
	recording *recording
	report    *simulate.Report // of otelauth inside the service
	mine      findings
	peers     []column // the first is otelauth from the log
}

// covered returns the number of hostile addresses that a program blocks, and how many of them
// otelauth names from the log.
func (c *comparison) covered(p *column) (hostile, common int) {
	ours, attackers := map[netip.Addr]bool{}, c.recording.hostile()
	for _, b := range c.peers[0].found.blocks {
		ours[b.addr] = true
	}
	seen := map[netip.Addr]bool{}
	for _, b := range p.found.blocks {
		if _, ok := attackers[b.addr]; !ok || seen[b.addr] {
			continue
		}
		seen[b.addr] = true
		hostile++
		if ours[b.addr] {
			common++
		}
	}
	return hostile, common
}

// scenarios lists the reasons of the blocks with their numbers.
func scenarios(f findings) string {
	n := map[string]int{}
	for _, b := range f.blocks {
		if b.by != "" {
			n[b.by]++
		}
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(n)) {
		all = append(all, fmt.Sprintf("%s %d", name, n[name]))
	}
	return strings.Join(all, ", ")
}

// writeTable writes one run as Markdown.
func writeTable(w io.Writer, speed float64, c *comparison) error {
	s, r, report, mine, peers := c.scenario, c.recording, c.report, c.mine, c.peers
	var b bytes.Buffer
	ourTries, ourHonest := score(r, mine)
	fmt.Fprintf(&b, "\n**Attacks at %v × their default speed** (log of %s, seed %d, %d users, %d days, %d attempts)\n\n", speed, r.format.name, s.Seed, s.Users, s.Days, len(r.attempts))
	fmt.Fprint(&b, "| attack | one try every | otelauth ")
	for _, p := range peers {
		fmt.Fprintf(&b, "| %s ", p.name)
	}
	fmt.Fprintf(&b, "|\n| --- | --- | --- %s|\n", strings.Repeat("| --- ", len(peers)))
	for i, a := range report.Attacks {
		fmt.Fprintf(&b, "| %s | %s | %s ", strings.ReplaceAll(a.Attack.Rule, "_", " "), short(a.Attack.Every),
			ourCell(a, ourTries[i].refused))
		for _, p := range peers {
			fmt.Fprintf(&b, "| %s ", cell(p.attacks[i]))
		}
		fmt.Fprintln(&b, "|")
	}
	fmt.Fprintf(&b, "| *attacks noticed* | | %d of %d ", noticed(report), len(report.Attacks))
	for _, p := range peers {
		n := 0
		for _, a := range p.attacks {
			if a.detected {
				n++
			}
		}
		fmt.Fprintf(&b, "| %d of %d ", n, len(p.attacks))
	}
	fmt.Fprintf(&b, "|\n| *honest: false alarms* | | %d high, %d medium, %d low ", report.FalseOf(detect.High), report.FalseOf(detect.Medium), report.FalseOf(detect.Low))
	for _, p := range peers {
		fmt.Fprintf(&b, "| %d addresses ", p.honest.addrs)
	}
	fmt.Fprintf(&b, "|\n| *honest: locked out with the right password* | | %s ", out(ourHonest))
	for _, p := range peers {
		fmt.Fprintf(&b, "| %s ", out(p.honest))
	}
	fmt.Fprintln(&b, "|")
	for _, p := range peers {
		if p.by != "" {
			fmt.Fprintf(&b, "\n%s's decisions by scenario: %s.\n", p.name, p.by)
		}
	}
	for _, p := range peers[1:] {
		hostile, common := c.covered(&p)
		fmt.Fprintf(&b, "\nOf the %d hostile addresses that %s blocks, otelauth names %d from the same log.\n", hostile, p.name, common)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func noticed(report *simulate.Report) int {
	n := 0
	for _, a := range report.Attacks {
		if len(a.By) > 0 {
			n++
		}
	}
	return n
}

// ourCell shows the rule of the attack, or the first other rule that has fired for it.
func ourCell(a simulate.AttackReport, refused float64) string {
	if a.Detected || len(a.By) == 0 {
		return cell(attackScore{detected: a.Detected, tries: a.Attempts, after: a.After, refused: refused})
	}
	return fmt.Sprintf("%s, as %s", short(a.FirstAfter), strings.ReplaceAll(a.By[0], "_", " "))
}

func cell(a attackScore) string {
	text := "–"
	if a.detected {
		text = fmt.Sprintf("%d, %s", a.tries, short(a.after))
	}
	if a.refused > 0 {
		text += fmt.Sprintf("; %.1f %% refused", 100*a.refused)
	}
	return text
}

func out(h honestScore) string { return fmt.Sprintf("%d accounts, %d times", h.accounts, h.refused) }

func short(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f d", d.Hours()/24)
	case d >= time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	case d >= time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
