// Copyright The otelauth Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/otelauth/otelauth-go/otelauth/attempt"
	"github.com/otelauth/otelauth-go/otelauth/detect"
	"github.com/otelauth/otelauth-go/otelauth/internal/authlog"
	"github.com/otelauth/otelauth-go/otelauth/internal/legible"
)

// learning has the rules that need a history, and how long.
var learning = []struct {
	rule string
	need time.Duration
}{
	{detect.DistributedStuffing, 24 * time.Hour},
	{detect.EndpointFailureRatio, 48 * time.Hour},
	{detect.NewNetwork, 7 * 24 * time.Hour},
	{detect.ManyAccounts, 7 * 24 * time.Hour},
	{detect.UnusualHour, 14 * 24 * time.Hour},
}

// gaps lists what was not judged.
func (r *replay) gaps(c *detectReplay) []replayGap {
	list := []replayGap{}
	add := func(n int64, what, why string) {
		if n > 0 {
			list = append(list, replayGap{What: what, Count: n, Why: why})
		}
	}
	rule := func(name, why string) {
		if r.config.IsOn(name) {
			list = append(list, replayGap{What: name, Why: why})
		}
	}
	k := &r.counts.Kinds
	add(k[authlog.Unreadable], "lines in no known format", "the first is "+r.counts.Unreadable+"; set --fields for JSON lines of another program")
	add(k[authlog.NoCredentials], "requests without credentials", "they are no guesses: browsers and curl send one first")
	add(k[authlog.Undecided], "requests with credentials", "their answer, such as 403 or 500, does not show whether the password was right")
	add(k[authlog.NoAddress], "attempts of clients with a host name", "rules need addresses: turn off the lookup of names (UseDNS, HostnameLookups)")
	add(k[authlog.KeyRefused], "refused keys of OpenSSH clients", "a client offers several keys, and keys are not guessed")
	add(r.counts.Folded, "denials that otelauth has folded", "they have no lines of their own")
	add(r.nameless, "attempts without a name", "most rules need a name")
	add(r.counts.Backwards, "attempts out of order by more than a minute", "they were evaluated at the time before them; the first is "+r.counts.FirstBackwards)
	if r.detector == nil {
		return list
	}
	if r.attempts[attempt.Success] == 0 {
		list = append(list, replayGap{
			What: "successes",
			Why:  "the log has none, so no network is known to any account, and rules about successes cannot fire; add the log that has them, such as the access log",
		})
	}
	if !r.reasons {
		list = append(list, replayGap{
			What: "which names are accounts",
			Why:  "the log does not report it, so credential_stuffing appears as password_spray",
		})
	}
	rule(detect.SamePassword, "no log has passwords, so each failure counts as a new password: a client that repeats an old one looks like a guesser")
	rule(detect.SensitiveOnlyDenied, "the log does not report which endpoints are sensitive")
	if c.GeoIPDatabase == "" {
		rule(detect.ImpossibleTravel, "it needs --geoip-database")
	}
	for _, l := range learning {
		if covered := r.now.Sub(r.first); covered < l.need {
			rule(l.rule, fmt.Sprintf("it learns for %s, and the log covers %s", span(l.need), short(covered)))
		}
	}
	for _, d := range detect.Rules() {
		if d.Optional && !r.config.IsOn(d.Name) && !slices.Contains(c.Off, d.Name) {
			list = append(list, replayGap{What: d.Name, Why: "it is off by default; turn it on with --on " + d.Name})
		}
	}
	return list
}

// listedNames is the number of names that a cell of the table has.
const listedNames = 3

func (t *terminal) printReplay(r *replayReport) {
	total := r.Attempts.Success + r.Attempts.Failure + r.Attempts.Throttled
	if total > 0 {
		t.print("%d lines from %s to %s (UTC): %d attempts, of which %d succeeded, %d failed, %d were throttled", r.Lines, clockOf(r.First),
			clockOf(r.Last), total, r.Attempts.Success, r.Attempts.Failure, r.Attempts.Throttled)
	}
	if len(r.Findings) == 0 {
		t.print("no findings")
	} else {
		all := newTable(t, "SEVERITY", "RULE", "FIRST", "DETECTED", "LAST", "ATTEMPTS", "NETWORKS", "ACCOUNTS")
		var rules []string
		for i := range r.Findings {
			f := &r.Findings[i]
			if !slices.Contains(rules, f.Rule) {
				rules = append(rules, f.Rule)
			}
			all.row(severityCell(f.Severity), f.Rule, clockOf(f.First), clockOf(f.Detected), clockOf(f.Last), f.Attempts,
				someOf(prefixTexts(f.Networks), f.NetworkCount), someOf(f.Accounts, f.AccountCount))
		}
		t.print("\n%s", all)
		meaning := newTable(t, "RULE", "ATT&CK", "MEANING", "FIRES AT")
		for _, d := range detect.Rules() {
			if slices.Contains(rules, d.Name) {
				meaning.row(d.Name, d.Technique, d.Summary, d.Default)
			}
		}
		t.print("%s", strings.TrimSuffix(meaning.String(), "\n"))
	}
	if r.More > 0 {
		t.print("and %d more findings", r.More)
	}
	if len(r.NotJudged) > 0 {
		t.print("\nNot judged:")
	}
	for _, g := range r.NotJudged {
		number := ""
		if g.Count > 0 {
			number = fmt.Sprintf("%d ", g.Count)
		}
		t.print("  %s%s: %s", number, g.What, legible.Text(g.Why))
	}
}

func severityCell(severity string) cell {
	return cell{text: severity, colour: map[string]string{"high": red, "medium": yellow}[severity]}
}

func prefixTexts(list []netip.Prefix) []string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return texts
}

// someOf returns the first names, and how many more there are.
func someOf(list []string, total int) string {
	total = max(total, len(list))
	shownNames := list[:min(len(list), listedNames)]
	text := strings.Join(shownNames, ", ")
	if rest := total - len(shownNames); rest > 0 {
		text += fmt.Sprintf(" +%d", rest)
	}
	return text
}
